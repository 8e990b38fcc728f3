"""What pools hold and order for processes is held to what these say, and the other way round."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from allocator.domain.codec import VERSIONS
from allocator.journal.verify.faults import Fault
from tests.integration.carts import paying
from tests.integration.long_ago import actor_of, stored
from tests.integration.multi_orders import asked_one_by_one, dispatch, ordered, placed, settled
from tests.integration.shop import database
from tests.integration.verifying import faults

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONGEST_S = 100.0
"""A slow machine verifies more often until enough has been bought; it is done by then."""


class Story:
    """Orders and carts of every end there is, of two pools, by the ids of their actors."""

    url: str
    ids: dict[str, int]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(module_database_url: str) -> Story:
    story = Story()
    story.url = module_database_url
    async with paying(story.url) as till:
        here, there = await till.stocked(50), await till.stocked(50)
        both = (here, 3), (there, 2)
        with asked_one_by_one():
            orders = {name: await placed(here, *both) for name in ("PLACED", "GONE", "CANCELLED")}
            assert (await ordered(here, (here, 1), (there, 99))).status == 409
        orders |= {name: await placed(here, *both) for name in ("AT_ONCE", "SENT", "TAKEN_BACK")}
        assert (await ordered(here, (here, 1), (there, 98))).status == 409
        await dispatch(here, orders["GONE"], (here, 1))
        await dispatch(here, orders["GONE"])
        await here.cancel(orders["CANCELLED"])
        await dispatch(here, orders["SENT"])
        await here.cancel(orders["TAKEN_BACK"])
        carts = {name: await here.filled(1) for name in ("OPEN", "CLOSED", "PAID")}
        for cart in carts.values():
            await there.fill(cart, 1)
            await here.fill(cart, 2)
            await there.fill(cart, 0)
        await here.fill(carts["OPEN"], 99)
        await here.send("DELETE", f"/carts/{carts['CLOSED'].id}")
        await here.decided(await here.pay(carts["PAID"]))
        await settled(here)
        await till.projected()
        sealed = {name: order.id for name, order in orders.items()}
        sealed |= {name: cart.id for name, cart in carts.items()}
        unseal = till.server.context.ids.unseal
        story.ids = {name: (unseal(each) or (0, 0))[0] for name, each in sealed.items()}
        story.ids |= {"HERE": await actor_of(here), "THERE": await actor_of(there)}
    [[declined], [_]] = await stored(
        story.url, "SELECT actor_id FROM process_orders WHERE status = 'declined' ORDER BY 1"
    )
    assert isinstance(declined, int)
    story.ids["DECLINED"] = declined
    await stored(story.url, "CREATE TABLE kept AS TABLE journal")
    return story


@pytest_asyncio.fixture(loop_scope="module")
async def url(story: Story) -> AsyncIterator[str]:
    """The DSN of it, for one test to do as it likes with the journal."""
    yield story.url
    async with database(story.url) as connection, connection.transaction():
        await connection.execute("TRUNCATE journal; INSERT INTO journal TABLE kept")


_ROW = "actor_id = {HERE} AND body ->> 'process' = '{%s}' AND kind = '%s'"
_COPY = """
INSERT INTO journal SELECT actor_id, seq + 100, at, era, xid, %d, '%s', principal,
                           idempotency_key, request_digest, digest, %s
FROM journal WHERE %s
"""


def row(process: str, kind: str) -> str:
    """Name the rows of a kind that the first pool has of a process."""
    return _ROW % (process, kind)


def end_of(process: str, kind: str) -> str:
    """Name the row with which the first pool closed a process's order."""
    return (
        f"actor_id = {{HERE}} AND kind = '{kind}' AND body ->> 'order' = (SELECT body ->> 'order' "
        f"FROM journal WHERE {row(process, 'hold_confirmed')})"
    )


def become(kind: str, where: str) -> str:
    """Have rows be of another kind."""
    return f"UPDATE journal SET kind = '{kind}', version = 2 WHERE {where}"


def copied(kind: str, body: str, where: str) -> str:
    """Have something more have happened that says what rows say."""
    return _COPY % (VERSIONS[kind], kind, body, where)


def say(former: str, now: str, where: str) -> str:
    """Have rows say something else."""
    body = f"replace(body::text, '{former}', '{now}')::json"
    return f"UPDATE journal SET body = {body} WHERE {where}"


DAMAGE = {
    "no order was made of what was paid for": (
        f"DELETE FROM journal WHERE {row('PAID', 'hold_confirmed')}",
        "2 units are its own, and HERE has made no order of them",
    ),
    "nothing was held of what was placed": (
        "DELETE FROM journal WHERE actor_id = {HERE} AND body ->> 'process' = '{PLACED}'",
        "3 units are its own, and HERE has made no order of them",
    ),
    "nothing was done of what was ordered at once": (
        f"DELETE FROM journal WHERE {row('AT_ONCE', 'hold_confirmed')}",
        "3 units are its own, and HERE has made no order of them",
    ),
    "other units were ordered at once": (
        say(
            '"quantity":3,"picks":[[1,3]]',
            '"quantity":2,"picks":[[1,2]]',
            row("AT_ONCE", "hold_confirmed"),
        ),
        "HERE has made an order of 2 units that are not its own",
    ),
    "an order was made of other lots": (
        say("[[1,", "[[7,", row("PLACED", "hold_confirmed")),
        "HERE has made an order of 3 units that are not its own",
    ),
    "an order was made of what is only in a cart": (
        copied(
            "hold_confirmed",
            "replace(body::text, 'added', 'picks')::json",
            row("OPEN", "units_held"),
        ),
        "HERE has made an order of 1 units that are not its own",
    ),
    "what was paid for was let go": (
        become("process_let_go", row("PAID", "hold_confirmed")),
        "HERE has let go of 2 units that it did not give up",
    ),
    "what is in a cart was let go": (
        copied("process_let_go", "body", row("OPEN", "units_held")),
        "HERE has let go of 1 units that it did not give up",
    ),
    "a cart that was closed still holds something": (
        f"DELETE FROM journal WHERE {row('CLOSED', 'process_let_go')}",
        "HERE holds 2 units for it, and it has ended",
    ),
    "an order that was declined still holds something": (
        f"DELETE FROM journal WHERE {row('DECLINED', 'process_let_go')}",
        "HERE holds 1 units for it, and it has ended",
    ),
    "less is held than is in a cart": (
        f"DELETE FROM journal WHERE {row('OPEN', 'units_held')} AND body ->> 'quantity' = '2'",
        "HERE holds 1 units for it, and it knows of 2",
    ),
    "other units are held than are in a cart": (
        say("[[1,", "[[7,", row("OPEN", "units_held")),
        "HERE holds 2 other units for it than it knows of",
    ),
    "a cart's line is still held that was taken out": (
        say('"process":', '"process":"x","_":', "actor_id = {THERE} AND body ->> 'quantity' = '0'"),
        "THERE holds 1 units for it, and it knows of 0",
    ),
    "units are held for somebody who never asked": (
        say("{OPEN}", "{PLACED}", row("OPEN", "units_held")),
        "HERE was asked for 1 units, and it asked for nothing",
    ),
    "more was held than was asked for": (
        say('"quantity":3', '"quantity":4', row("PLACED", "units_held")),
        "HERE was asked for 4 units, and it asked for 3",
    ),
    "other units were refused than were asked for": (
        say("99", "98", row("OPEN", "hold_refused")),
        "HERE was asked for 98 units, and it asked for 99",
    ),
    "nobody began it": (
        "DELETE FROM journal WHERE actor_id = {OPEN}",
        "2 pools have been asked for it, and nobody began it",
    ),
    "nobody knows for whom something is held": (
        say(
            '"process":',
            '"process":"x","_":',
            row("OPEN", "units_held") + " AND body ->> 'quantity' = '2'",
        ),
        "HERE holds 1 units for it, and it knows of 2",
    ),
    "units left that nobody dispatched": (
        copied("order_dispatched", "body", row("PLACED", "hold_confirmed")),
        "3 units of it are left, and 0 at HERE",
    ),
    "units did not leave that were dispatched": (
        f"DELETE FROM journal WHERE {end_of('GONE', 'order_dispatched')}",
        "0 units of it are left, and 2 at HERE",
    ),
    "units left of an order that was cancelled": (
        become("order_dispatched", end_of("CANCELLED", "order_cancelled")),
        "3 units have left HERE, and it was cancelled",
    ),
    "units went back that were dispatched": (
        become("order_cancelled", end_of("GONE", "order_dispatched")),
        "HERE has 3 units back, and it was not cancelled",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
async def test_pools_and_processes_that_contradict_each_other_are_named(
    story: Story, url: str, what: str
) -> None:
    """O9, O10: what is in a cart is held, and what was paid for is there."""
    sql, why = DAMAGE[what]
    await damage(url, sql.format(**story.ids))

    found = [fault for fault in await faults(url) if fault.kind == "hold"]

    pools = await stored(url, "SELECT actor_id, concat_ws('/', warehouse, product) FROM pools")
    names = {actor_id: str(name) for actor_id, name in pools}
    for name in ("THERE", "HERE"):
        why = why.replace(name, names[story.ids[name]])
    assert why in [fault.message for fault in found]


async def test_no_repair_invents_what_a_pool_has_to_say(story: Story, url: str) -> None:
    sql, _ = DAMAGE["a cart that was closed still holds something"]
    await damage(url, sql.format(**story.ids))

    [found] = [fault for fault in await faults(url, repair=True) if fault.kind == "hold"]

    assert not found.repaired
    assert found.actor == f"cart:{story.ids['CLOSED']}"


async def test_nothing_is_wrong_with_what_processes_lead(url: str) -> None:
    assert await faults(url) == []


async def test_nobody_is_doubted_while_processes_go_on(database_url: str) -> None:
    """Carts and orders come and go all the time, and several verifications find nothing."""
    async with paying(database_url) as till:
        here, there = await till.stocked(30), await till.stocked(30)
        stopped = asyncio.Event()
        bought = 0

        async def keep_buying() -> None:
            nonlocal bought
            for count in itertools.count():
                if stopped.is_set():
                    return
                cart = await here.filled(1)
                await there.fill(cart, 2)
                if count % 3 == 0:
                    await here.send("DELETE", f"/carts/{cart.id}")
                elif count % 3 == 1:
                    paid = await here.decided(await here.pay(cart))
                    assert paid.order is not None
                    await dispatch(here, await here.shown(paid.order))
                    await here.received()
                    await there.received(quantity=2)
                answer = await ordered(here, (here, 2), (there, 30 - count % 30))
                if answer.status == 201:
                    await here.send("POST", f"{answer.headers['Location']}/cancel")
                bought += 1

        found: list[Sequence[Fault]] = []
        async with asyncio.timeout(LONGEST_S), asyncio.TaskGroup() as buying:
            for _ in range(8):
                buying.create_task(keep_buying())
            while len(found) < 3 or bought <= 20:
                found.append(await faults(database_url))
            stopped.set()

    assert not any(found)


async def damage(url: str, sql: str) -> None:
    """Do what no server does, and see to it that it did something."""
    async with database(url) as connection:
        assert (await connection.execute(sql)).split()[-1] != "0"
