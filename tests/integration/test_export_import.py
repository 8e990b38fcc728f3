"""An installation moves: what arrives is what left, or nothing that anybody could take for it."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from allocator.domain.records import GENESIS, chain
from allocator.errors import UsageError
from allocator.journal.archives import chunks_of
from allocator.journal.importing import BadFileError
from allocator.persistence import cuts
from allocator.persistence.leadership import Role
from allocator.persistence.statements import statement
from allocator.persistence.transfer.tables import APART, CARRIED, DERIVED, LOCAL
from tests.integration.crowd import crowd, promised
from tests.integration.serving import CHECKOUT, serving, until
from tests.integration.shop import database, opened
from tests.integration.transfers import (
    another,
    columns_of,
    everything,
    export,
    import_,
    project,
    small_blocks,
)
from tests.integration.truth import check, query
from tests.integration.verifying import faults, fill

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(module_database_url: str) -> str:
    """A database in which everything has happened."""
    await fill(module_database_url)
    return module_database_url


@pytest.fixture(scope="module")
def exported(filled: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of it in many small blocks."""
    file = tmp_path_factory.mktemp("export") / "small.ndjson"
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch)
        asyncio.run(export(filled, file))
    return file


@pytest.mark.parametrize("name", ["all.ndjson", "all.ndjson.zst"])
async def test_what_is_imported_is_what_was_exported_row_by_row(
    filled: str, tmp_path: Path, name: str
) -> None:
    await export(filled, tmp_path / name)
    async with another(filled) as target:
        await import_(tmp_path / name, target)

        assert await everything(target) == await everything(filled)
        await project(target)
        assert await faults(target) == []
        [row] = await query(target, "SELECT era FROM installation")
        assert row["era"] == 2


async def test_a_moved_installation_answers_as_the_old_one_did(
    database_url: str, tmp_path: Path
) -> None:
    """Q1, Q2: the same ids, keys and balances."""
    stock = {"hot": 100_000, "scarce": 20}
    file, midst = tmp_path / "all.ndjson.zst", tmp_path / "midst.ndjson"
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(**stock)
        async with crowd(server, *stock) as told:
            await promised(told, more=150)
            await export(database_url, midst)  # beside whoever writes
            await promised(told, more=50)
    await export(database_url, file)

    async with another(database_url) as target, another(database_url) as half:
        await import_(midst, half)
        await project(half)
        assert await faults(half) == []
        await import_(file, target)
        async with serving("--database-url", target, log=tmp_path / "log") as server:
            await check(server, target, told)
            assert (await server.order("hot")).status == 201
            await server.ok("PUT", "/products/new", {"name": "New"})
            await server.receive("new", 1)


async def test_an_import_that_is_killed_goes_on(
    filled: str, exported: Path, tmp_path: Path
) -> None:
    async with another(filled) as target:
        for blocks in (2, 5, 9):
            process = begin_import(first_blocks(exported, tmp_path, blocks), target)
            await until(lambda blocks=blocks: has_stored(target, blocks))  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            process.wait()
            with pytest.raises(UsageError, match="has not finished"):
                async with opened(target):
                    pass
        await import_(exported, target)
        at_last = await everything(target)
        await import_(exported, target)

        assert at_last == await everything(filled)
        assert at_last == await everything(target), "once more changed something"


async def test_a_damaged_file_is_refused_by_line_and_a_sound_one_goes_on(
    filled: str, exported: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.ndjson"
    line = edit(exported, damaged)

    async with another(filled) as target:
        with pytest.raises(BadFileError, match=rf"line {line} is not as it was written"):
            await import_(damaged, target)
        with pytest.raises(UsageError, match="has not finished"):
            async with opened(target):
                pass
        cut_short(exported, damaged)
        with pytest.raises(BadFileError, match="breaks off"):
            await import_(damaged, target)
        await import_(exported, target)

        assert await everything(target) == await everything(filled)


async def test_half_an_import_can_be_started_over_with_another_file(
    filled: str, exported: Path, tmp_path: Path
) -> None:
    short, other = tmp_path / "short.ndjson", tmp_path / "other.ndjson"
    cut_short(exported, short)
    await query(filled, "SELECT pg_current_xact_id()")  # so that it is of another moment
    await export(filled, other)

    async with another(filled) as target:
        with pytest.raises(BadFileError):
            await import_(short, target)
        with pytest.raises(UsageError, match=r"something else|another export"):
            await import_(other, target)
        await import_(other, target, start_over=True)

        assert await everything(target) == await everything(filled)
        indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = 'journal' ORDER BY indexname"
        assert await query(target, indexes) == await query(filled, indexes)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.8, 0.99, 1.0])
@pytest.mark.parametrize("suffix", ["ndjson", "ndjson.zst"])
async def test_an_export_that_was_killed_goes_on(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, share: float, suffix: str
) -> None:
    """What `kill -9` leaves behind is some beginning of what was to be written."""
    small_blocks(monkeypatch)
    whole, again = tmp_path / f"whole.{suffix}", tmp_path / f"again.{suffix}"
    await export(filled, whole)
    part = tear(whole, again, share=share)

    await export(filled, again)

    assert not exists(part)
    assert told_by(again) == told_by(whole)
    assert mode_of(again) == 0o600


async def test_an_export_leaves_what_is_there_alone(filled: str, tmp_path: Path) -> None:
    there, part = tmp_path / "there", tmp_path / "mine.part"
    write(there, b"mine")
    write(part, b"mine as well")

    with pytest.raises(UsageError, match="is there already"):
        await export(filled, there)
    with pytest.raises(UsageError, match="is no export"):
        await export(filled, tmp_path / "mine")

    assert (read(there), read(part)) == (b"mine", b"mine as well")


async def test_an_export_says_what_an_older_transaction_keeps_out_of_it(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cuts, "_LOOKS_MAX", 3)
    async with opened(database_url) as shop, database(database_url) as older:
        await shop.received(quantity=5)
        async with older.transaction():
            await older.execute("SELECT pg_current_xact_id()")
            await shop.placed()
            await export(database_url, tmp_path / "without")
        said = capsys.readouterr().err
        await export(database_url, tmp_path / "with")

    assert "1 events that had been committed are NOT in it" in said
    assert "NOT in it" not in capsys.readouterr().err
    assert b"order_placed" not in read(tmp_path / "without")
    assert b"order_placed" in read(tmp_path / "with")


async def test_only_an_empty_database_is_filled(filled: str, exported: Path) -> None:
    async with another(filled) as target:
        with pytest.raises(UsageError, match="an installation is in it"):
            await import_(exported, filled)
        async with database(target) as connection:
            await connection.execute("CREATE TABLE mine (x int)")
        with pytest.raises(UsageError, match="has the tables mine"):
            await import_(exported, target)
        async with database(target) as connection:
            await connection.execute("DROP TABLE mine")
        await import_(exported, target)


async def test_an_export_goes_through_a_pipe(filled: str) -> None:
    async with another(filled) as target:
        export_all = f"{_ALLOCATOR} export - --database-url '{filled}'"
        import_all = f"{_ALLOCATOR} import - --json --database-url '{target}'"
        command = f"{export_all} | {import_all}"
        piped = await asyncio.to_thread(
            subprocess.run, command, shell=True, cwd=CHECKOUT, capture_output=True, check=True
        )

        told = msgspec.json.decode(piped.stdout)
        assert await everything(target) == await everything(filled)
        [row] = await query(filled, "SELECT count(*) AS rows FROM journal")
        assert (told["events"], told["is_new"], told["file"]) == (row["rows"], True, "-")
        assert b"keep it as you keep the database" in piped.stderr


async def test_every_table_travels_or_does_not_for_a_reason(filled: str) -> None:
    groups = [frozenset(CARRIED), DERIVED, LOCAL, APART]
    rows = await query(filled, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    assert frozenset().union(*groups) == {row["tablename"] for row in rows}
    assert sum(map(len, groups)) == len(rows)


@pytest.mark.parametrize("table", CARRIED)
async def test_a_table_travels_with_all_its_columns(filled: str, table: str) -> None:
    async with database(filled) as connection:
        carried = await columns_of(connection, statement(f"carry_{table}"))

        assert carried == await columns_of(connection, f"SELECT * FROM {table}")


async def test_a_body_that_is_not_in_one_line_arrives_to_the_byte(
    database_url: str, tmp_path: Path
) -> None:
    """No release writes such a body; but what is in the journal is the truth."""
    body = ' {"name":\n "A\\tB" }\r'
    async with opened(database_url) as shop:
        await shop.put("/warehouses/odd", {"name": "A\tB"})
    async with database(database_url) as connection:
        row = await connection.fetchrow(
            "SELECT * FROM journal WHERE actor_id = (SELECT id FROM actors WHERE key = $1)",
            "warehouse:odd",
        )
        assert row is not None
        digest = chain(
            GENESIS,
            actor_id=row["actor_id"],
            seq=1,
            at_ms=round(row["at"].timestamp() * 1000),
            kind=row["kind"],
            version=1,
            body=body,
            principal="Ann \x01 Ov\x1f",
            idempotency_key="",
            request_digest=None,
        )
        await connection.execute(
            "UPDATE journal SET body = $2, digest = $3, principal = $4, idempotency_key = '' "
            "WHERE actor_id = $1",
            row["actor_id"],
            body,
            digest,
            "Ann \x01 Ov\x1f",
        )
        await connection.execute("UPDATE warehouses SET digest = $1 WHERE code = 'odd'", digest)

    await export(database_url, tmp_path / "odd")
    async with another(database_url) as target:
        await import_(tmp_path / "odd", target)

        assert await everything(target) == await everything(database_url)


_IMPORT = (sys.executable, "-m", "allocator", "journal", "import")
_ALLOCATOR = f"{sys.executable} -m allocator journal"


async def has_stored(url: str, blocks: int) -> bool:
    """Say whether an import has come so far."""
    try:
        rows = await query(url, "SELECT reached::json ->> 'block' AS block FROM imports")
    except asyncpg.UndefinedTableError:
        return False
    return bool(rows) and int(rows[0]["block"] or 0) >= blocks


def begin_import(file: Path, url: str) -> "subprocess.Popen[bytes]":
    """Run `journal import` in a process of its own, to be killed."""
    return subprocess.Popen([*_IMPORT, str(file), "--database-url", url], cwd=CHECKOUT)


def edit(file: Path, damaged: Path) -> int:
    """Copy a file with another number in one line, and return which."""
    lines = read(file).splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if b"order_dispatched" in line)
    edited = lines[number].replace(b'"quantity":6', b'"quantity":5')
    assert edited != lines[number]
    write(damaged, b"".join([*lines[:number], edited, *lines[number + 1 :]]))
    return number + 1


def cut_short(file: Path, damaged: Path) -> None:
    """Copy a file without its end."""
    write(damaged, read(file)[:-200])


def tear(file: Path, again: Path, *, share: float) -> Path:
    """Leave the beginning of one export as the draft of another."""
    written = read(file)
    part = Path(f"{again}.part")
    write(part, written[: int(len(written) * share)] + (b"torn" if share > 0.1 else b""))
    return part


def read(file: Path) -> bytes:
    return file.read_bytes()


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def exists(file: Path) -> bool:
    return file.exists()


def mode_of(file: Path) -> int:
    return file.stat().st_mode & 0o777


def first_blocks(file: Path, directory: Path, blocks: int) -> Path:
    """Return a pipe that gives some blocks of a file, and then neither more nor an end."""
    pipe = directory / f"first-{blocks}"
    os.mkfifo(pipe)
    lines = file.read_bytes().splitlines(keepends=True)
    last = [n for n, line in enumerate(lines) if line.startswith(b'{"block":')][blocks - 1]
    os.write(os.open(pipe, os.O_RDWR), b"".join(lines[: last + 1]))
    return pipe


def told_by(file: Path) -> list[bytes]:
    """The lines of an export, but for those that close blocks."""
    with file.open("rb", buffering=0) as opened:
        text = b"".join(chunks_of(opened))
    return [line for line in text.splitlines() if not line.startswith(b'{"block":')]


async def test_an_import_waits_a_moment_for_the_session_of_one_that_has_just_ended(
    filled: str, exported: Path
) -> None:
    async with another(filled) as target, database(target) as former:
        await former.fetchval("SELECT pg_advisory_lock($1)", Role.IMPORT)
        asyncio.get_running_loop().call_later(0.3, former.terminate)

        await import_(exported, target)

        assert await everything(target) == await everything(filled)
