"""The command line: flags, their variables, and one sentence for every mistake."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from allocator.cli import PREFIX, all_commands, commands
from allocator.client.patience import PATIENCE_S
from allocator.config import Config, flag

OK, FAILED, USAGE = 0, 1, 2


@pytest.fixture(autouse=True)
def _no_variables_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "allocator", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def config_of(*arguments: str) -> Config:
    """Say what `allocator serve` would serve with."""
    context = commands.commands["serve"].make_context("serve", [*arguments])
    return Config(**context.params)


def value_of(field: str) -> str:
    """Give a valid value of a field that is not its default."""
    default = getattr(Config(), field)
    if isinstance(default, bool):
        return str(not default)
    if isinstance(default, int):
        return str(default + 1)
    return {
        "host": "::1",
        "data_dir": "stock",
        "database_url": "postgresql://db/stock",
        "log_level": "error",
        "payment_url": "https://provider.example/charges",
        "states": "in_repair,on_show",
        "tls_cert": "cert.pem",
        "tls_key": "key.pem",
    }[field]


COMPANIONS = {"tls_cert": ["--tls-key", "key.pem"], "tls_key": ["--tls-cert", "cert.pem"]}
"""What has to be said beside a field."""


def test_without_flags_serve_has_the_defaults_of_config() -> None:
    assert config_of() == Config()


@pytest.mark.parametrize("field", Config.__struct_fields__)
def test_every_field_has_a_flag_and_a_variable_that_mean_the_same(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = value_of(field)
    switch = {"True": [flag(field)], "False": ["--no-" + flag(field)[2:]]}
    beside = COMPANIONS.get(field, [])
    by_flag = config_of(*switch.get(value, [flag(field), value]), *beside)

    monkeypatch.setenv(PREFIX + field.upper(), value)
    by_variable = config_of(*beside)

    assert by_flag == by_variable
    assert str(getattr(by_flag, field)) == value


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOCATOR_PORT", "9000")
    monkeypatch.setenv("ALLOCATOR_PROJECTION", "no")

    config = config_of("--port", "9001", "--projection")

    assert config.port == 9001
    assert config.projection


@pytest.mark.parametrize("field", ["port", "data_dir", "database_url", "trust_storage"])
def test_an_empty_variable_counts_as_unset(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + field.upper(), "")

    assert config_of() == Config()


def test_serve_help_names_every_flag_with_its_variable_default_and_the_exit_codes() -> None:
    shown = run("serve", "--help", COLUMNS="100")

    assert shown.returncode == OK
    for field in Config.__struct_fields__:
        assert flag(field) in shown.stdout
        assert f"env var: {PREFIX}{field.upper()}" in " ".join(shown.stdout.split())
    assert "default: 8080" in shown.stdout
    assert "Exit codes:" in shown.stdout


def test_help_does_not_wait_for_the_server_to_be_imported() -> None:
    script = (
        "import sys, allocator.cli;"
        "print({'aiohttp', 'asyncpg', 'uvloop', 'rich', 'allocator.runtime'} & set(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert shown.stdout == "set()\n"


def test_version_tells_what_is_running() -> None:
    shown = run("--version")

    assert shown.returncode == OK
    assert shown.stdout.startswith("allocator ")
    for part in ("Python ", "aiohttp ", "asyncpg ", "embedded PostgreSQL"):
        assert part in shown.stdout


def test_without_a_command_it_shows_the_commands() -> None:
    shown = run()

    assert shown.returncode == USAGE
    for name in commands.commands:
        assert f"  {name} " in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["serve", "--prot", "1"], {}, "No such option '--prot'"),
        (["srve"], {}, "No such command 'srve'"),
        (["serve", "here"], {}, "unexpected extra argument (here)"),
        (["serve", "--port"], {}, "'--port' requires an argument"),
        (["serve", "--port", "http"], {}, "'http' is not a valid whole number"),
        (["serve"], {"ALLOCATOR_PORT": "65536"}, "ALLOCATOR_PORT'): 65536 is not in the range"),
        (["serve"], {"ALLOCATOR_PROJECTION": "maybe"}, "'maybe' is not a valid boolean"),
        (["serve", "--log-level", "loud"], {}, "'loud' is not one of"),
        (["serve", "--workers", "0"], {}, "0 is not in the range"),
        (["serve", "--data-dir", __file__], {}, "is a file"),
        (
            ["serve", "--database-url", "postgresql://db/stock"],
            {"ALLOCATOR_DATA_DIR": "stock"},
            "--data-dir and --database-url exclude each other",
        ),
        (["serve"], {"ALLOCATOR_PROT": "1"}, "ALLOCATOR_PROT is not a variable"),
        (["serve"], {"ALLOCATOR_SERVE_PORT": "1"}, "ALLOCATOR_SERVE_PORT is not a variable"),
        (["db"], {"ALLOCATOR_DATADIR": "x"}, "did you mean ALLOCATOR_DATA_DIR?"),
        (["replay", __file__], {"ALLOCATOR_CLIENT": "8"}, "did you mean ALLOCATOR_CLIENTS?"),
        (["replay", "no-such-file.csv"], {}, "'no-such-file.csv' does not exist"),
        (["replay", __file__, "--clients", "0"], {}, "0 is not in the range"),
        (["seed"], {}, "Missing argument 'FILE.toml|demo'"),
        (["seed", "dmeo"], {}, "dmeo cannot be read: No such file or directory; demo is the one"),
        (["seed", "/"], {}, "/ cannot be read: Is a directory"),
        (["seed", "demo", "--url", "here"], {}, "'here' is not the address of a server"),
        (["seed", "demo", "--key", "x"], {}, "--key is not an API key"),
        (["feeds", "add", "main"], {}, "Missing option '--url'"),
        (["feeds", "show", "a/b"], {}, "'a/b' is not the code of a warehouse"),
        (["feeds", "list", "--server", "here"], {}, "'here' is not the address of a server"),
        (["feeds", "poll", "main", "--key", "x"], {}, "--key is not an API key"),
        (["feeds", "add", "main", "--url", "http://x", "--excludes", "A"], {}, "lower-case words"),
        (["feeds", "add", "main", "--url", "http://x", "--rate-per-s", "0"], {}, "0.0 is not in"),
        (["simulate", "--seed", "1", "--seeds", "2"], {}, "--seed is one run"),
        (["simulate", "--seed", "-1"], {}, "-1 is not in the range"),
        (["simulate", "--processes", "0"], {}, "0 is not in the range"),
        (["simulate", "--trace"], {}, "say which with --seed"),
        (["simulate", "--mutant", "no such"], {}, "there is no mutant 'no such'"),
        (["simulate"], {"ALLOCATOR_SEDE": "1"}, "did you mean ALLOCATOR_SEED"),
        (["journal", "tial"], {}, "No such command 'tial'"),
        (["journal", "tail", "--limit", "0"], {}, "0 is not in the range"),
        (["journal", "tail"], {"ALLOCATOR_FOLOW": "1"}, "did you mean ALLOCATOR_FOLLOW"),
        (["journal", "show"], {}, "Missing argument 'ID'"),
    ],
)
def test_a_mistake_stops_the_start_with_one_sentence(
    arguments: list[str], variables: dict[str, str], sentence: str
) -> None:
    stopped = run(*arguments, **variables)

    assert stopped.returncode == USAGE
    assert stopped.stdout == ""
    assert sentence in stopped.stderr
    assert stopped.stderr.startswith("allocator: ")
    assert stopped.stderr.count("\n") == 1


def test_a_wrong_database_url_does_not_show_its_password() -> None:
    stopped = run("serve", "--database-url", "mysql://shop:hidden@db/stock")

    assert stopped.returncode == USAGE
    assert "hidden" not in stopped.stderr


def test_a_variable_of_another_command_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOCATOR_CLIENTS", "8")

    stopped = run("serve", "--workers", "65")

    assert "--workers" in stopped.stderr


def test_help_is_shown_whatever_the_variables_say() -> None:
    shown = run("serve", "--help", ALLOCATOR_PROT="1", ALLOCATOR_PORT="x")

    assert shown.returncode == OK


@pytest.mark.parametrize("command", ["replay", "seed"])
def test_a_client_is_as_patient_as_its_own_default(command: str) -> None:
    [patience] = [
        option for option in commands.commands[command].params if option.name == "patience_s"
    ]

    assert patience.default == PATIENCE_S


def test_every_option_of_every_command_has_a_variable() -> None:
    nameless = [
        option.name
        for command in all_commands(commands)
        for option in command.params
        if isinstance(option, click.Option) and option.envvar != PREFIX + str(option.name).upper()
    ]

    assert nameless == []


def test_a_file_that_is_no_history_is_refused_by_replay(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text("not,a,history\n")

    stopped = run("replay", str(history))

    assert stopped.returncode == USAGE
    assert "lacks the columns" in stopped.stdout + stopped.stderr


def test_a_seed_is_simulated_and_told() -> None:
    simulated = run("simulate", "--seed", "1")

    assert "seed 1" in simulated.stdout
    assert simulated.stderr == ""
