"""Rows of every released version, in a database: what is read and made of them there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from allocator.domain.codec import VERSIONS
from allocator.domain.pool import Pool
from allocator.domain.records import StoredSnapshot
from allocator.domain.replay import replay
from allocator.domain.snapshots import dump_pool
from allocator.persistence.connections import Pool as ConnectionPool
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.projection import Projection
from allocator.persistence.reader import JournalReader
from tests.corpus.make import written
from tests.corpus.reading import (
    FinalCart,
    FinalEntry,
    FinalLed,
    FinalMove,
    FinalPool,
    FinalState,
    final_pool,
    finals_in,
    records_in,
    releases,
)
from tests.integration.verifying import faults
from tests.unit.test_corpus import UNRELEASED

_ROW = """
INSERT INTO journal (actor_id, seq, at, era, kind, version, body, digest, principal,
                     idempotency_key, request_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_BALANCES = "SELECT actor_id, version, available, ordered, held, expired FROM balances"
_STOCKS = """
SELECT seq, quantity, available, on_hand, lot, expires_at, received_at, reference, product,
       origin_actor_id, origin_seq
FROM stocks WHERE actor_id = $1 AND on_hand > 0 ORDER BY seq
"""
_MOVES = """
SELECT actor_id, version, product, from_code, to_code, quantity, status, requested_at, ended
FROM moves ORDER BY actor_id
"""
_LED = """
SELECT actor_id, seq, version, status, customer, confirmed FROM process_orders ORDER BY actor_id
"""
_CARTS = "SELECT actor_id, version, status, customer, expires_at FROM carts ORDER BY actor_id"
_CHECKOUTS = """
SELECT actor_id, attempt, status, amount, currency, changed FROM checkouts ORDER BY 1, 2
"""
_OPEN_ORDERS = """
SELECT seq FROM orders
WHERE actor_id = $1 AND status IN ('new', 'partly_dispatched') ORDER BY seq
"""


@asynccontextmanager
async def holding(url: str, release: str) -> AsyncIterator[tuple[ConnectionPool, int]]:
    """An empty database with a release's rows in it, as of the present era; yields that, too."""
    connection = await connect(url, application_name="corpus")
    try:
        await migrate(connection)
        era = (await open_installation(connection)).era
    finally:
        await connection.close()
    pool = await open_pool(url, size=2)
    try:
        for actor_id, final in finals_in(release).items():
            actor = (actor_id, kind_in(final), final.key)
            await pool.execute("INSERT INTO actors (id, kind, key) VALUES ($1, $2, $3)", *actor)
        rows = [record for records in records_in(release).values() for record in records]
        await pool.executemany(
            _ROW,
            [
                (
                    row.actor_id,
                    row.seq,
                    row.at_ms,
                    era,
                    row.kind,
                    row.version,
                    row.body,
                    row.digest,
                    row.principal,
                    row.idempotency_key,
                    row.request_digest,
                )
                for row in rows
            ],
        )
        yield pool, era
    finally:
        await pool.close()


def kind_in(final: FinalState) -> str:
    """Of what kind the actor is that came to this."""
    return final.kind if isinstance(final, FinalEntry) else msgspec.to_builtins(final)["actor"]


def pools_in(release: str) -> dict[int, FinalPool]:
    """What became of a release's pools."""
    finals: dict[int, FinalState] = dict(finals_in(release))
    return {key: final for key, final in finals.items() if isinstance(final, FinalPool)}


@pytest.mark.parametrize("release", releases())
async def test_the_read_models_of_any_release_s_rows_are_what_its_pools_were(
    database_url: str, release: str
) -> None:
    """They are made in SQL, of bodies as they were stored: no step leads these on."""
    pools = pools_in(release)
    async with holding(database_url, release) as (connections, era):
        await Projection(url=database_url, era=era).catch_up()

        refused = await connections.fetch("SELECT actor_id, error FROM quarantined_projections")
        assert refused == []
        assert {row["actor_id"]: tuple(row)[1:] for row in await connections.fetch(_BALANCES)} == {
            actor_id: (pool.version, pool.available, pool.ordered, pool.held, pool.expired)
            for actor_id, pool in pools.items()
        }
        for actor_id, pool in pools.items():
            assert [tuple(row) for row in await connections.fetch(_STOCKS, actor_id)] == [
                (
                    lot.seq,
                    lot.quantity,
                    lot.available,
                    lot.available
                    + lot.ordered
                    + lot.held
                    + lot.expired
                    + sum(units for _, units in lot.aside),
                    lot.lot,
                    lot.expires_at_ms,
                    lot.received_at_ms,
                    lot.reference,
                    pool.product,
                    *(lot.origin or (None, None)),
                )
                for lot in pool.lots
            ]
            found = await connections.fetch(_OPEN_ORDERS, actor_id)
            alone = [order.seq for order in pool.orders if not order.led]
            assert [row["seq"] for row in found] == alone


@pytest.mark.parametrize("release", releases())
async def test_the_moves_in_any_release_s_rows_are_listed_as_they_were(
    database_url: str, release: str
) -> None:
    finals: dict[int, FinalState] = dict(finals_in(release))
    async with holding(database_url, release) as (connections, era):
        await Projection(url=database_url, era=era).catch_up()

        assert [tuple(row) for row in await connections.fetch(_MOVES)] == [
            (
                actor_id,
                final.version,
                final.product,
                final.from_code,
                final.to_code,
                final.quantity,
                final.status,
                final.requested_at_ms,
                not final.asks,
            )
            for actor_id, final in sorted(finals.items())
            if isinstance(final, FinalMove)
        ]


@pytest.mark.parametrize("release", releases())
async def test_orders_and_purchases_in_any_release_s_rows_are_listed_as_they_were(
    database_url: str, release: str
) -> None:
    finals: dict[int, FinalState] = dict(finals_in(release))
    carts = {key: final for key, final in finals.items() if isinstance(final, FinalCart)}
    led = {key: final for key, final in finals.items() if isinstance(final, FinalLed)}
    led |= {key: cart.order for key, cart in carts.items() if cart.order is not None}
    async with holding(database_url, release) as (connections, era):
        await Projection(url=database_url, era=era).catch_up()

        assert [tuple(row) for row in await connections.fetch(_LED)] == [
            (key, final.number, final.version, final.status, final.customer, final.confirmed)
            for key, final in sorted(led.items())
        ]
        assert [tuple(row) for row in await connections.fetch(_CARTS)] == [
            (key, final.version, final.status, final.customer, final.expires_at_ms)
            for key, final in sorted(carts.items())
        ]
        assert [tuple(row) for row in await connections.fetch(_CHECKOUTS)] == [
            (key, each.attempt, each.status, each.amount, each.currency, each.changed)
            for key, final in sorted(carts.items())
            for each in final.checkouts
        ]
    told = {fault.kind for fault in await faults(database_url)}
    assert told <= {"wake_up", "wrong_actor", "contents", "installation"}  # nobody wrote those


@pytest.mark.parametrize("release", releases())
async def test_rows_of_any_release_recover_from_a_database(database_url: str, release: str) -> None:
    async with holding(database_url, release) as (connections, _):
        reader = JournalReader(connections)
        for actor_id, final in pools_in(release).items():
            pool = Pool()
            async for records in reader.records(actor_id, after_seq=0):
                replay(pool, records)
            assert final_pool(final.key, pool) == final


async def test_a_snapshot_of_another_schema_version_is_ignored(database_url: str) -> None:
    """Of an older release or a newer one, sound or not: the newest that we wrote counts."""
    release = releases()[0]
    actor_id, final = max(pools_in(release).items(), key=lambda each: each[1].version)
    records = records_in(release)[actor_id]
    async with holding(database_url, release) as (connections, _):
        reader = JournalReader(connections)
        pool = Pool()
        for records_until in (3, 10, 20):
            replay(pool, records[pool.version : records_until])
            snapshot = StoredSnapshot(seq=pool.version, state=dump_pool(pool))
            await reader.save_snapshot(actor_id, snapshot)
        change = "UPDATE snapshots SET schema_version = schema_version + $1 WHERE seq = $2"
        kept = []
        for by, seq in ((1, 20), (-1, 10), (1, 3)):
            await connections.execute(change, by, seq)
            snapshot_now = (await reader.origin(actor_id)).snapshot
            kept.append(None if snapshot_now is None else snapshot_now.seq)

    assert kept == [10, 3, None]
    assert final.version > 20


async def test_the_next_release_can_have_its_rows_written(database_url: str) -> None:
    """Every kind that has a story, under its present version, by `tests.corpus.make` alone."""
    rows, finals = await written(database_url)
    told = {(row.kind, row.version) for row in rows}

    assert told <= set(VERSIONS.items())
    assert set(VERSIONS.items()) - told <= UNRELEASED
    assert {row.actor_id for row in rows} == set(finals)
