"""A `Config` that exists is valid; one that cannot work says why in one sentence."""

from pathlib import Path

import pytest

from allocator.config import Config, described_fields
from allocator.errors import UsageError


def test_the_defaults_are_valid_and_serve_only_this_machine() -> None:
    config = Config()

    assert (config.host, config.port, config.workers) == ("127.0.0.1", 8080, 1)
    assert config.data_dir is None
    assert config.database_url is None


def test_every_field_says_what_it_means() -> None:
    fields = described_fields()

    assert list(fields) == list(Config.__struct_fields__)
    assert [name for name, meta in fields.items() if not meta.description] == []


def test_every_number_has_both_bounds() -> None:
    numbers = {
        name: meta
        for name, meta in described_fields().items()
        if type(getattr(Config(), name)) is int
    }

    assert len(numbers) >= 12
    assert [name for name, meta in numbers.items() if meta.ge is None or meta.le is None] == []


def test_a_duration_or_size_carries_its_unit_in_its_name() -> None:
    assert {name for name in Config.__struct_fields__ if name.endswith("_ms")} == {
        "drain_ms",
        "head_timeout_ms",
        "stall_timeout_ms",
        "keep_alive_ms",
        "payment_timeout_ms",
        "cart_ttl_ms",
        "cart_cap_ms",
        "database_timeout_ms",
        "idle_ms",
        "heartbeat_ms",
        "dead_after_ms",
        "slow_request_ms",
        "webhook_pause_ms",
        "webhook_timeout_ms",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", -1),
        ("port", 65_536),
        ("mailbox_max", 0),
        ("batch_max", 0),
        ("batch_max", 65_537),
        ("snapshot_events", 99),
        ("drain_ms", -1),
        ("idle_ms", 999),
        ("body_max_bytes", 1_023),
        ("actors_max", 0),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_by_its_flag(field: str, value: int) -> None:
    with pytest.raises(UsageError) as refusal:
        Config(**{field: value})  # type: ignore[arg-type]

    message = str(refusal.value)
    assert message.startswith("--" + field.replace("_", "-") + " must be at ")
    assert message.endswith(f"not {value}.")


@pytest.mark.parametrize(("field", "value"), [("port", 0), ("port", 65_535), ("batch_max", 1)])
def test_the_bounds_themselves_are_allowed(field: str, value: int) -> None:
    config = Config(**{field: value})  # type: ignore[arg-type]

    assert getattr(config, field) == value


@pytest.mark.parametrize(("given", "missing"), [("tls_cert", "tls-key"), ("tls_key", "tls-cert")])
def test_a_certificate_and_its_key_need_each_other(given: str, missing: str) -> None:
    with pytest.raises(UsageError, match=rf"^--{given.replace('_', '-')} needs --{missing}, too"):
        Config(**{given: "a.pem"})  # type: ignore[arg-type]


def test_a_data_directory_and_a_database_url_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r"^--data-dir and --database-url exclude each other"):
        Config(data_dir=Path("stock"), database_url="postgresql://localhost/stock")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:hidden@db.example:5432/stock",
        "postgres://db.example/stock",
        "postgresql://shop@/stock?host=/run/postgresql",
    ],
)
def test_the_usual_forms_of_a_database_url_are_accepted(url: str) -> None:
    assert Config(database_url=url).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "stock",
        "mysql://shop:hidden@db.example/stock",
        "postgresql://shop:hidden@[db.example/stock",
        "postgresql://shop:hidden@db.example:99999/stock",
    ],
)
def test_a_wrong_database_url_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(
        UsageError, match=r"^--database-url must look like postgresql://"
    ) as refusal:
        Config(database_url=url)

    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://external-provider.com/api/refund/",
        "http://127.0.0.1:8090/charges",
        "http://[::1]:8090/charges?shop=1",
        "https://provider.example",
    ],
)
def test_the_usual_forms_of_a_payment_url_are_accepted(url: str) -> None:
    assert Config(payment_url=url).payment_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "provider.example/charges",
        "ftp://provider.example/charges",
        "https:///charges",
        "https://shop:hidden@provider.example/charges",
        "https://provider.example/charges#hidden",
        "https://provider.example:0/charges",
        "https://provider.example:99999/charges",
        "https://[::1/charges",
        "https://[nowhere]/charges",
        "https://provider.example/char ges",
        "https://provider.example/\r\nX-Hidden: 1",
        "https://bücher.example/charges",
    ],
)
def test_a_wrong_payment_url_is_refused_without_showing_what_is_secret(url: str) -> None:
    with pytest.raises(UsageError, match=r"^--payment-url must look like https://") as refusal:
        Config(payment_url=url)

    assert "hidden" not in str(refusal.value)


def test_an_empty_host_is_refused_because_it_would_listen_everywhere() -> None:
    with pytest.raises(UsageError, match=r"^--host must not be empty"):
        Config(host="")


def test_an_unknown_log_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="one of debug, info, warning, error, not 'loud'"):
        Config(log_level="loud")


def test_a_worker_must_have_room_for_one_full_mailbox() -> None:
    with pytest.raises(UsageError, match=r"^--worker-max must be at least --mailbox-max \(4096\)"):
        Config(worker_max=4_095)

    assert Config(worker_max=4_096).worker_max == 4_096


def test_one_late_heartbeat_is_not_a_death() -> None:
    with pytest.raises(UsageError, match=r"^--dead-after-ms must be at least twice"):
        Config(heartbeat_ms=500, dead_after_ms=999)

    assert Config(heartbeat_ms=500, dead_after_ms=1_000).dead_after_ms == 1_000


def test_a_config_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        Config().port = 9000  # type: ignore[misc]
