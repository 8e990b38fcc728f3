"""What is wrong with moves, and with places that hold one product at a time, is found and named."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from allocator.domain.records import GENESIS, chain
from allocator.journal.verify.faults import Fault
from allocator.journal.verify.job import Server
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.folding import fold
from allocator.persistence.reader import JournalReader
from tests.integration.long_ago import actor_of, copied, stored
from tests.integration.moving import all_ended, moved, not_moved, placed_in
from tests.integration.shop import Shop, database, opened
from tests.integration.verifying import Said, contents, faults, pooled

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONGEST_S = 100.0
"""A slow machine verifies more often until enough has moved; it is done by then."""

MAIN = "(SELECT id FROM actors WHERE key = 'pool:main/tea')"
BIN = "(SELECT id FROM actors WHERE key = 'pool:bin/')"
_DONE = "(SELECT min(actor_id) FROM journal WHERE kind = 'move_done')"
_REFUSED = "(SELECT actor_id FROM journal WHERE kind = 'move_refused')"
_ROWS = """
SELECT seq, round(date_part('epoch', at) * 1000)::bigint AS at_ms, kind, version,
       body::text AS body, principal, idempotency_key, request_digest
FROM journal WHERE actor_id = $1 ORDER BY seq
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(module_database_url: str) -> str:
    """Moves into a bin and out of it, one of them refused; orders there; snapshots of both."""
    url = module_database_url
    async with opened(url) as shop:
        shop.warehouse, shop.product = "main", "tea"
        await shop.open()
        bin_ = await placed_in(shop, "bin")
        await shop.received(quantity=5, lot="L-1")
        await shop.received(quantity=5)
        await moved(shop, bin_, 7)
        await bin_.dispatch(await bin_.placed(quantity=2))
        await bin_.placed(quantity=1, customer="ada")
        await moved(bin_, shop, 1)
        await not_moved(shop, bin_, 100)
        await all_ended(shop, url)
        async with pooled(url) as pool:
            for place in (shop, bin_):
                await fold(JournalReader(pool), await actor_of(place))
    return url


@pytest_asyncio.fixture(loop_scope="module")
async def url(postgres: EmbeddedPostgres, filled: str) -> AsyncIterator[str]:
    """The DSN of a test's own copy of it."""
    async with copied(postgres, filled) as copy:
        yield copy


async def test_nothing_is_wrong_where_units_moved(url: str) -> None:
    async with opened(url) as shop:
        assert await faults(url, server=Server(url=shop.url, key=None)) == []


DERIVED = {
    "moves are of more, of another product, and of another time": (
        (
            "UPDATE moves SET quantity = CASE actor_id WHEN {DONE} THEN 8 ELSE quantity END,"
            " product = CASE actor_id WHEN {REFUSED} THEN 'pot' ELSE product END,"
            " requested_at = requested_at - CASE WHEN actor_id NOT IN ({DONE}, {REFUSED})"
            " THEN interval '1 ms' ELSE interval '0' END"
        ),
        "move",
    ),
    "moves went elsewhere, and were decided at another time": (
        (
            "UPDATE moves SET to_code = CASE actor_id WHEN {DONE} THEN 'main' ELSE to_code END,"
            " decided_at = decided_at + CASE WHEN actor_id <> {DONE}"
            " THEN interval '1 ms' ELSE interval '0' END"
        ),
        "move",
    ),
    "a move took no lots": ("UPDATE moves SET lots = '[]' WHERE actor_id = {DONE}", "move"),
    "a move's lots are nonsense": ("UPDATE moves SET lots = '7' WHERE actor_id = {DONE}", "move"),
    "a move that is done was refused": (
        "UPDATE moves SET status = 'refused', reason = '{{}}' WHERE actor_id = {DONE}",
        "move",
    ),
    "a move was refused for another reason": (
        (
            "UPDATE moves SET reason = json_build_object('type', 'Occupied', 'product', 'x')"
            " WHERE actor_id = {REFUSED}"
        ),
        "move",
    ),
    "a move has not ended": ("UPDATE moves SET ended = false", "move"),
    "a move is gone": ("DELETE FROM moves WHERE actor_id = {DONE}", "move"),
    "a move is older than it can be": (
        (
            "UPDATE moves SET version = 2, status = 'in_transit', decided_at = NULL, lots = '[]',"
            " ended = false WHERE actor_id = {DONE}"
        ),
        "move",
    ),
    "a move is in quarantine": (
        (
            "INSERT INTO quarantined_projections (actor_id, era, xid, error)"
            " VALUES ({DONE}, 1, '3', 'it did not fit')"
        ),
        "quarantine",
    ),
    "a move that has ended is woken": (
        "UPDATE actors SET wake_at = now() WHERE id = {DONE}",
        "wake_up",
    ),
    "lots came from elsewhere, or nowhere": (
        (
            "UPDATE stocks SET origin_seq = CASE actor_id WHEN {BIN} THEN 9 END,"
            " origin_actor_id = CASE actor_id WHEN {BIN} THEN origin_actor_id END"
            " WHERE origin_seq IS NOT NULL"
        ),
        "stock",
    ),
    "a lot is of another product": (
        "UPDATE stocks SET product = 'pot' WHERE actor_id = {BIN}",
        "stock",
    ),
    "an order is of another product": (
        "UPDATE orders SET product = 'pot' WHERE actor_id = {BIN}",
        "order",
    ),
    "balances are of other products": ("UPDATE balances SET product = 'pot'", "balance"),
    "a snapshot of a location is another": (
        "UPDATE snapshots SET state = state || '\\x00' WHERE actor_id = {BIN}",
        "snapshot",
    ),
}


@pytest.mark.parametrize("what", DERIVED)
async def test_what_is_derived_and_wrong_is_named_and_made_again(url: str, what: str) -> None:
    sql, kind = DERIVED[what]
    before = await contents(url)
    moves = await stored(url, "SELECT * FROM moves ORDER BY 1")
    await damage(url, sql)

    found = await faults(url, repair=True)

    assert {fault.kind for fault in found} == {kind}
    assert all(fault.repaired for fault in found)
    assert await faults(url) == []
    assert await contents(url) == before
    assert await stored(url, "SELECT * FROM moves ORDER BY 1") == moves


async def test_a_location_that_is_another_is_named(url: str) -> None:
    await stored(url, "UPDATE warehouses SET single_product = false WHERE code = 'bin'")

    [fault] = await faults(url)

    assert (fault.kind, fault.actor, fault.table) == ("contents", "warehouse:bin", "warehouses")


async def test_a_damaged_row_of_a_move_is_named_and_nothing_is_made_of_it(url: str) -> None:
    await damage(url, "UPDATE journal SET principal = 'x' WHERE actor_id = {DONE} AND seq = 2")
    await stored(url, "DELETE FROM moves")

    found = [fault for fault in await faults(url, repair=True) if fault.kind == "edited_row"]

    [[done]] = await stored(url, f"SELECT {_DONE}")
    assert [Said.by(fault) for fault in found] == [Said("edited_row", f"move:{done}", "journal", 2)]
    assert await stored(url, "SELECT count(*) FROM moves WHERE actor_id = $1", done) == [(0,)]


UNLAWFUL = {
    "it is done before it was sent": ("move_sent", "move_done", "{}", "done"),
    "fewer units left than were to": (
        "move_sent",
        "move_sent",
        '{"lots":[{"quantity":1,"origin":[SOURCE,1],"received_at_ms":1}]}',
        "7 units are to move, and 1 left",
    ),
    "they left another place": (
        "move_sent",
        "move_sent",
        '{"lots":[{"quantity":7,"origin":[1,1],"received_at_ms":1}]}',
        "another place than its source",
    ),
}


@pytest.mark.parametrize("what", UNLAWFUL)
async def test_what_cannot_have_happened_to_a_move_is_named(url: str, what: str) -> None:
    kind, other, body, why = UNLAWFUL[what]
    [[done]] = await stored(url, f"SELECT {_DONE}")
    [[source]] = await stored(url, f"SELECT {MAIN}")
    assert isinstance(done, int)
    await forge(url, done, kind, body.replace("SOURCE", str(source)), other=other)

    found = [fault for fault in await faults(url) if fault.kind == "unlawful_event"]

    assert [why in fault.message for fault in found] == [True]


TRANSIT = {
    "another lot left than the move says": (
        (
            "UPDATE journal SET body = replace(body::text, '{MAIN},1]', '{MAIN},2]')::json"
            " WHERE kind = 'units_sent' AND body ->> 'process' = {DONE}::text"
        ),
        "7 units are on their way by it, and 7 left",
    ),
    "nothing left": (
        "DELETE FROM journal WHERE kind = 'units_sent' AND body ->> 'process' = {DONE}::text",
        "7 units are on their way by it, and 0 left",
    ),
    "a part did not arrive": (
        (
            "DELETE FROM journal WHERE kind = 'units_taken' AND body ->> 'last' = 'true'"
            " AND body ->> 'process' = {DONE}::text"
        ),
        "7 units left, and 5 arrived",
    ),
    "they arrived elsewhere": (
        (
            "UPDATE journal SET actor_id = {MAIN}, seq = seq + 100 WHERE kind = 'units_taken'"
            " AND body ->> 'process' = {DONE}::text"
        ),
        "which is not its destination",
    ),
    "they left elsewhere": (
        (
            "UPDATE journal SET actor_id = {BIN}, seq = seq + 100 WHERE kind = 'units_sent'"
            " AND body ->> 'process' = {DONE}::text"
        ),
        "which is not its source",
    ),
    "they arrived before they left": (
        "DELETE FROM journal WHERE actor_id = {DONE} AND kind IN ('move_sent', 'move_done')",
        "7 units arrived that it did not know to have left",
    ),
    "units left by a move that was refused": (
        (
            "UPDATE journal SET body = replace(body::text, {DONE}::text, {REFUSED}::text)::json"
            " WHERE kind = 'units_sent' AND body ->> 'process' = {DONE}::text"
        ),
        "it was refused, and 7 units moved",
    ),
    "units left twice": (
        (
            "INSERT INTO journal SELECT actor_id, seq + 100, at, era, xid, version, kind,"
            " principal, idempotency_key, request_digest, digest, body FROM journal"
            " WHERE kind = 'units_sent' AND body ->> 'process' = {DONE}::text"
        ),
        "units left 2 times for it",
    ),
    "nobody asked for it": (
        "DELETE FROM journal WHERE actor_id = {DONE} AND kind = 'move_requested'",
        "nobody requested it",
    ),
    "nobody knows who asked for it": (
        (
            'UPDATE journal SET body = replace(body::text, \'"process":\', \'"process":"x","_":\')'
            "::json WHERE kind = 'units_sent' AND body ->> 'process' = {DONE}::text"
        ),
        "nobody requested it",
    ),
}


@pytest.mark.parametrize("what", TRANSIT)
async def test_units_that_do_not_add_up_over_three_journals_are_named(url: str, what: str) -> None:
    sql, why = TRANSIT[what]
    await damage(url, sql)

    found = [fault for fault in await faults(url) if fault.kind == "transit"]

    assert why in [fault.message[-len(why) :] for fault in found]


async def test_what_is_under_way_is_no_fault(url: str) -> None:
    """A server moves all the time, and several verifications find nothing."""
    async with opened(url) as shop:
        there = Shop(shop.server, shop.client)
        await there.open()
        there.product = shop.product
        await shop.received(quantity=1_000)
        stopped = asyncio.Event()
        moves = 0

        async def keep_moving() -> None:
            nonlocal moves
            while not stopped.is_set():
                await moved(shop, there, 3)
                await moved(there, shop, 3)
                moves += 2

        found: list[Sequence[Fault]] = []
        async with asyncio.timeout(LONGEST_S), asyncio.TaskGroup() as moving:
            for _ in range(8):
                moving.create_task(keep_moving())
            while len(found) < 3 or moves <= 20:
                found.append(await faults(url))
            stopped.set()

    assert not any(found)


async def damage(url: str, sql: str) -> None:
    """Do what no server does, and see to it that it did something."""
    named = {"MAIN": MAIN, "BIN": BIN, "DONE": _DONE, "REFUSED": _REFUSED}
    ids = {name: (await stored(url, f"SELECT {each}"))[0][0] for name, each in named.items()}
    async with database(url) as connection:
        assert (await connection.execute(sql.format(**ids))).split()[-1] != "0"


async def forge(url: str, actor_id: int, kind: str, body: str, *, other: str) -> None:
    """Have a row say something else, with digests that bear all of it out."""
    digest = GENESIS
    async with database(url) as connection:
        for row in await connection.fetch(_ROWS, actor_id):
            said = dict(row)
            if said["kind"] == kind:
                said |= {"kind": other, "body": body}
            digest = chain(digest, actor_id=actor_id, **said)
            await connection.execute(
                "UPDATE journal SET kind = $3, body = $4, digest = $5"
                " WHERE actor_id = $1 AND seq = $2",
                *(actor_id, said["seq"], said["kind"], said["body"], digest),
            )
