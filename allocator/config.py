"""What an operator may tune: one immutable value, checked when it is made.

Each field says its meaning and its bounds once, here. The command line derives its flags,
their help and their environment variables from them.
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, get_type_hints
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from allocator.errors import UsageError

LOG_LEVELS = ("debug", "info", "warning", "error")
DATABASE_SCHEMES = ("postgres", "postgresql")
PAYMENT_SCHEMES = ("http", "https")
_STATE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_KNOWN_STATES = frozenset({"available", "ordered", "held", "expired", "on_hand"})


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator may tune. Units are in the names.

    A `Config` that exists is valid. Making one reads no file, no environment and no clock.

    Raises:
        UsageError: A value is out of bounds or two contradict each other; the message is
            one sentence for the operator.
    """

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    ] = 8080
    tls_cert: Annotated[
        str | None,
        Meta(
            description="File with the certificate chain, in PEM: HTTPS instead of HTTP. "
            "Read at the start and on SIGHUP."
        ),
    ] = None
    tls_key: Annotated[
        str | None, Meta(description="File with the certificate's key, in PEM, unencrypted.")
    ] = None
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=32,
            description="Worker processes that share the products; 1 needs no supervisor.",
        ),
    ] = 1
    body_max_bytes: Annotated[
        int,
        Meta(
            ge=1_024,
            le=64 * 1_048_576,
            description="Largest body of a request, in bytes; a larger one is answered 413.",
        ),
    ] = 1_048_576
    drain_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=3_600_000,
            description="Milliseconds that accepted requests may take to finish after SIGTERM.",
        ),
    ] = 30_000

    rate_limit: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Requests a second that one API key may have of each worker; above it, "
            "429. 0 for any number.",
        ),
    ] = 0
    connections_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Connections that a worker keeps open; one more is answered 503.",
        ),
    ] = 10_000
    line_max_bytes: Annotated[
        int,
        Meta(
            ge=256,
            le=65_536,
            description="Longest path and query of a request, in bytes; above it, 414.",
        ),
    ] = 8_192
    header_max_bytes: Annotated[
        int, Meta(ge=256, le=65_536, description="Longest header, in bytes; above it, 431.")
    ] = 8_190
    headers_max: Annotated[
        int, Meta(ge=16, le=1_024, description="Most headers of a request; above it, 431.")
    ] = 128
    head_timeout_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=600_000,
            description="Milliseconds from a connection to its first request; then it is closed.",
        ),
    ] = 10_000
    stall_timeout_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=3_600_000,
            description="Milliseconds that a client may pause in the middle of a body, or of "
            "reading an answer; then the connection is closed.",
        ),
    ] = 30_000
    keep_alive_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=86_400_000,
            description="Milliseconds that a connection may rest between two requests; longer "
            "than your proxy's.",
        ),
    ] = 630_000

    data_dir: Annotated[
        Path | None,
        Meta(
            description="Directory of the embedded PostgreSQL, made if it is missing; "
            "without it, a directory of the user that runs the server."
        ),
    ] = None
    database_url: Annotated[
        str | None,
        Meta(
            description="Use this PostgreSQL (14 or newer) instead of the embedded one: "
            "postgresql://user:password@host:port/database. Prefer the variable when the "
            "URL holds a password: other users of the machine can read a command line."
        ),
    ] = None
    trust_storage: Annotated[
        bool,
        Meta(
            description="Start although the database runs with fsync or full_page_writes "
            "off, because its provider makes commits durable otherwise."
        ),
    ] = False
    database_timeout_ms: Annotated[
        int,
        Meta(
            ge=1_000,  # longer than the wait for a lock before its holder's session is ended
            le=600_000,
            description="Milliseconds that PostgreSQL may take to answer; after that its "
            "connection is given up, and clients are told to repeat.",
        ),
    ] = 10_000
    projection: Annotated[
        bool, Meta(description="Keep the read models, which serve lists and filters, up to date.")
    ] = True

    mailbox_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Messages that one product at one warehouse may have unanswered; "
            "above it, 503 at once.",
        ),
    ] = 4_096
    worker_max: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000_000,
            description="Messages that all of a worker may have unanswered; above it, 503 at once.",
        ),
    ] = 65_536
    batch_max: Annotated[
        int, Meta(ge=1, le=65_536, description="Events that one append to the journal may carry.")
    ] = 1_024
    actors_max: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000_000,
            description="Pairs of product and warehouse held in memory at once; above it, "
            "the longest idle are written out.",
        ),
    ] = 200_000
    idle_ms: Annotated[
        int,
        Meta(
            ge=1_000,
            le=86_400_000,
            description="Milliseconds without a message after which such a pair leaves memory.",
        ),
    ] = 600_000
    snapshot_events: Annotated[
        int,
        Meta(
            ge=100,
            le=100_000_000,
            description="Events after which an actor gets a new snapshot; fewer recover faster.",
        ),
    ] = 20_000

    subscribers_max: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Clients that may listen to the events of one worker; above it, 503.",
        ),
    ] = 256
    webhook_anywhere: Annotated[
        bool,
        Meta(
            description="Let webhooks go to private networks and by http, not only to public "
            "addresses by https and to this machine."
        ),
    ] = False
    webhook_attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Attempts to deliver a message to a webhook; after them it is a dead "
            "letter.",
        ),
    ] = 14
    webhook_pause_ms: Annotated[
        int,
        Meta(
            ge=10,
            le=3_600_000,
            description="Milliseconds between the first two attempts; each pause is twice as "
            "long as the one before, up to an hour.",
        ),
    ] = 1_000
    webhook_timeout_ms: Annotated[
        int,
        Meta(ge=100, le=60_000, description="Milliseconds that a receiver may take to answer."),
    ] = 10_000

    payment_url: Annotated[
        str | None,
        Meta(
            description="Where the payment provider takes charges, by POST, for instance "
            "https://provider.example/charges; without it nobody can check out."
        ),
    ] = None
    payment_timeout_ms: Annotated[
        int,
        Meta(
            ge=10,
            le=3_600_000,
            description="Milliseconds that the payment provider may take to answer, several times "
            "what it takes on average; after that a person has to look what became of the charge.",
        ),
    ] = 600_000
    payments_max: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Charges for which a worker waits for the payment provider at once; as "
            "many again wait until they can be sent.",
        ),
    ] = 10_000

    states: Annotated[
        str,
        Meta(
            description="States of your own in which units cannot be sold, beside damaged, lost, "
            "quarantined and wms_reserved: lower-case words, with commas between them."
        ),
    ] = ""
    cart_ttl_ms: Annotated[
        int,
        Meta(
            ge=1_000,
            le=86_400_000,
            description="Milliseconds after the last change of a cart until it expires.",
        ),
    ] = 900_000
    cart_cap_ms: Annotated[
        int,
        Meta(
            ge=1_000,
            le=604_800_000,
            description="Milliseconds after which a cart expires however often it is changed; at "
            "least --cart-ttl-ms.",
        ),
    ] = 3_600_000
    carts_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000,
            description="Carts that one customer may have open at once.",
        ),
    ] = 5

    heartbeat_ms: Annotated[
        int,
        Meta(ge=50, le=60_000, description="Milliseconds between two heartbeats of a worker."),
    ] = 500
    dead_after_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=600_000,
            description="Milliseconds without a heartbeat after which a worker is replaced; "
            "at least twice --heartbeat-ms.",
        ),
    ] = 2_000
    slow_request_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=3_600_000,
            description="Milliseconds from which a request is logged as slow.",
        ),
    ] = 1_000
    log_level: Annotated[
        str, Meta(description="Least severity that is logged: " + ", ".join(LOG_LEVELS) + ".")
    ] = "info"

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is started."""
        _check_bounds(self)
        _check_choices(self)
        _check_relations(self)


@cache
def described_fields() -> dict[str, Meta]:
    """Give every field's bounds and meaning, in the order of the class."""
    hints = get_type_hints(Config, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in Config.__struct_fields__}


def flag(field: str) -> str:
    """Spell a field as the command line does, as messages to an operator should."""
    return "--" + field.replace("_", "-")


def _check_bounds(config: Config) -> None:
    for name, meta in described_fields().items():
        value = getattr(config, name)
        if meta.ge is not None and value < meta.ge:
            raise UsageError(f"{flag(name)} must be at least {meta.ge}, not {value}.")
        if meta.le is not None and value > meta.le:
            raise UsageError(f"{flag(name)} must be at most {meta.le}, not {value}.")


def _check_choices(config: Config) -> None:
    # asyncio takes an empty host for "every interface", which nobody means by it.
    if not config.host:
        raise UsageError("--host must not be empty; 0.0.0.0 listens on every interface.")
    if config.log_level not in LOG_LEVELS:
        raise UsageError(
            f"--log-level must be one of {', '.join(LOG_LEVELS)}, not {config.log_level!r}."
        )
    if config.database_url is not None and not _is_database_url(config.database_url):
        # The URL itself stays out of the message: it may hold a password.
        raise UsageError("--database-url must look like postgresql://user@host:port/database.")
    for state in states_in(config.states):
        if not _STATE.fullmatch(state) or state in _KNOWN_STATES:
            raise UsageError(
                f"--states must be lower-case words that are no states already, not {state!r}."
            )
    if config.payment_url is not None and not _is_payment_url(config.payment_url):
        raise UsageError(
            "--payment-url must look like https://host/path, with nothing that is secret in it."
        )


def states_in(setting: str) -> tuple[str, ...]:
    """Return the states that an operator chose, from the setting."""
    return tuple(state.strip() for state in setting.split(",")) if setting else ()


def _check_relations(config: Config) -> None:
    if (config.tls_cert is None) != (config.tls_key is None):
        given, missing = ("cert", "key") if config.tls_key is None else ("key", "cert")
        raise UsageError(f"--tls-{given} needs --tls-{missing}, too.")
    if config.data_dir is not None and config.database_url is not None:
        raise UsageError(
            "--data-dir and --database-url exclude each other: "
            "the first is for the embedded PostgreSQL, the second for your own."
        )
    if config.worker_max < config.mailbox_max:
        raise UsageError(
            f"--worker-max must be at least --mailbox-max ({config.mailbox_max}), "
            f"not {config.worker_max}."
        )
    if config.cart_cap_ms < config.cart_ttl_ms:
        raise UsageError(
            f"--cart-cap-ms must be at least --cart-ttl-ms ({config.cart_ttl_ms}), "
            f"not {config.cart_cap_ms}."
        )
    if config.dead_after_ms < 2 * config.heartbeat_ms:
        raise UsageError(
            f"--dead-after-ms must be at least twice --heartbeat-ms ({config.heartbeat_ms}), "
            f"not {config.dead_after_ms}: one late heartbeat must not look like a death."
        )


def _is_database_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in DATABASE_SCHEMES and port != 0


def _is_payment_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url and not parts.fragment
    is_http = parts.scheme in PAYMENT_SCHEMES and bool(parts.hostname) and port != 0
    return is_plain and is_http and "@" not in parts.netloc
