"""`allocator keys`: made before there is a server and beside one, shown once, revoked for ever."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from allocator.domain.api_keys import digest_of, is_secret
from tests.integration.serving import CHECKOUT, Server
from tests.integration.shop import database


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    """A line of `keys list --json`."""

    name: str
    role: str
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


def keys(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "allocator", "keys", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_the_first_key_is_made_before_the_first_start_and_then_lets_in(
    reachable_dir: Path,
) -> None:
    where = ("--data-dir", str(reachable_dir / "data"))
    made = await asyncio.to_thread(keys, "create", "--role", "stock", "--name", "depot", *where)
    secret = made.stdout.strip()
    server = Server(*where, "--host", "0.0.0.0", log=reachable_dir / "log")
    server.headers = {"Authorization": f"Bearer {secret}"}
    try:
        await server.start_ready()
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        await server.open_shop(tea=3)
        beside = await asyncio.to_thread(keys, "list", *where)
        assert await server.terminate() == 0
    finally:
        await server.close()
    afterwards = await asyncio.to_thread(keys, "list", "--json", *where)
    [depot] = [msgspec.json.decode(line, type=Listed) for line in afterwards.stdout.splitlines()]

    assert (made.returncode, is_secret(secret)) == (0, True), made
    assert made.stdout == f"{secret}\n"
    assert "depot" in made.stderr
    assert secret not in made.stderr + beside.stdout + afterwards.stdout
    assert beside.stdout.splitlines()[1].startswith("depot  stock  2")
    assert (depot.name, depot.role, depot.revoked_at) == ("depot", "stock", None)
    assert depot.last_used_at is not None
    assert secret.encode() not in (reachable_dir / "log").read_bytes()


async def test_of_a_key_only_the_digest_is_kept_and_its_life_is_journaled(
    database_url: str,
) -> None:
    where = ("--database-url", database_url)
    secret = keys("create", "--role", "client", "--name", "shop", *where).stdout.strip()
    again = keys("create", "--role", "operator", "--name", "shop", *where)
    revoked = keys("revoke", "shop", *where)
    twice = keys("revoke", "shop", *where)
    reused = keys("create", "--role", "client", "--name", "shop", *where)
    unknown = keys("revoke", "ship", *where)
    async with database(database_url) as connection:
        stored = await connection.fetchval("SELECT secret_digest FROM api_keys")
        rows = await connection.fetch("SELECT kind, body, principal FROM journal ORDER BY seq")

    assert stored == digest_of(secret)
    assert again.returncode == reused.returncode == unknown.returncode == 2
    assert "there is, or was, a key named shop" in again.stderr
    assert again.stderr == reused.stderr
    assert again.stdout == ""
    assert (revoked.returncode, twice.returncode) == (0, 0)
    assert "is revoked" in revoked.stderr
    assert "was revoked before" in twice.stderr
    assert "there is no key named ship" in unknown.stderr
    assert [(row["kind"], row["body"]) for row in rows] == [
        ("api_key_created", '{"role":"client"}'),
        ("api_key_revoked", "{}"),
    ]
    assert all(row["principal"].startswith("cli:") for row in rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--role", "boss", "--name", "x"], "'boss' is not one of 'client', 'stock'"),
        (["create", "--role", "client", "--name", "a b"], "a key's name must be 1 to 64 of"),
        (["create", "--role", "client", "--name", ""], "a key's name must be 1 to 64 of"),
        (["create", "--role", "client"], "Missing option '--name'"),
        (["revoke"], "Missing argument 'NAME'"),
        (["list"], "nothing is stored in this database yet"),
        (["revoke", "x"], "nothing is stored in this database yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    database_url: str, arguments: list[str], said: str
) -> None:
    refused = keys(*arguments, "--database-url", database_url)

    assert refused.returncode == 2
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert refused.stdout == ""
