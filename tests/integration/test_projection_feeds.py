"""Pools that a feed leads in the read models: they say what folding the actors gives."""

import os
import time
from collections.abc import AsyncIterator
from random import Random

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from allocator.domain import kinds
from allocator.domain.adjustments import Adjust
from allocator.domain.holds import Hold
from allocator.domain.kinds import Command
from allocator.domain.messages import CancelOrder, DispatchPart, PlaceOrder, Wake
from allocator.domain.pool import Pool
from allocator.domain.reconciling import Detach, Reconcile, Statement
from allocator.domain.replay import replay
from allocator.domain.transfers import LetGo, SendOut, TakeIn, Transfer
from allocator.persistence.projection import Projection
from allocator.persistence.rebuilding import open_rebuilding
from allocator.persistence.statements import statement
from tests.integration.shop import database, opened, until
from tests.integration.verifying import faults
from tests.integration.yard import Yard, contents

ERA = 1
FEED, ELSEWHERE = 9 << 8, 10 << 8
CARTS = (11 << 8, 12 << 8)
CODES = ("A", "B", None)
STEPS = 120
SEEDS = int(os.environ.get("ALLOCATOR_TEST_FEEDS_PROJECTED", "2"))
SOON_MS = 40

_BALANCES = "SELECT version, available, ordered, held, expired, aside::text FROM balances"
_STOCKS = """
SELECT seq, quantity, available, on_hand, lot,
       round(date_part('epoch', received_at) * 1000)::bigint,
       round(date_part('epoch', expires_at) * 1000)::bigint, aside::text
FROM stocks WHERE on_hand > 0 ORDER BY seq
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest_asyncio.fixture
async def yard(database_url: str) -> AsyncIterator[Yard]:
    """A yard whose server leaves the read models to the test."""
    async with opened(database_url, projection=False) as shop:
        yard = Yard(shop.server, database_url)
        await yard.open()
        yield yard


class Story:
    """Much that happens to one pool of tea, some of it twice, much while units are missing."""

    def __init__(self, yard: Yard, actor_id: int, *, seed: int) -> None:
        self.yard = yard
        self.actor_id = actor_id
        self.dice = Random(seed)
        self.step = 0
        self.as_of = 0
        self.shorts = 0
        self.known = Pool()

    async def pool(self) -> Pool:
        """Return the pool as its journal makes it."""
        page = self.yard.context.readings.events
        ref = await self.yard.pool("main", "tea")
        replay(self.known, await page(ref, after=self.known.version, limit=1_000))
        return self.known

    async def ask(self, command: Command) -> None:
        """Have the pool do something, or refuse to."""
        await self.yard.context.asker.ask(self.actor_id, command, principal="")

    async def go_on(self) -> None:
        """Have one more thing happen."""
        pool = await self.pool()
        self.step += 1
        self.shorts += bool(pool.fed is not None and pool.fed.short)
        orders = [seq for seq, _ in pool.orders]
        units, order = self.dice.randint(1, 5), self.dice.choice([*orders, 0])
        states = self.dice.sample(["available", "damaged", "lost"], 2)
        await self.ask(
            self.dice.choice(
                [
                    *[PlaceOrder(quantity=units)] * 2,
                    CancelOrder(order=order),
                    DispatchPart(order=order, quantity=1),
                    Adjust(source=states[0], target=states[1], quantity=units, reason="seen"),
                    *self.asked(units),
                    *[self.said(pool) for _ in range(4)],
                    Wake(),
                ]
            )
        )
        if self.dice.random() < 0.03:
            await self.ask(Detach(process=FEED, step=self.step, sent_at_ms=now_ms()))

    def asked(self, units: int) -> list[Command]:
        """Return what processes may ask; carts come and go."""
        step, sent_at_ms = self.step, now_ms()
        cart = self.dice.choice(CARTS) + (step // 20 << 16)
        move = ELSEWHERE + (step << 8)
        lot = Transfer(
            quantity=units, origin=(ELSEWHERE, 1), received_at_ms=7, code=self.dice.choice(CODES)
        )
        return [
            *[
                Hold(process=cart, step=step, sent_at_ms=sent_at_ms, quantity=quantity)
                for quantity in self.dice.choices(range(7), k=2)
            ],
            LetGo(process=cart, step=step, sent_at_ms=sent_at_ms),
            SendOut(process=move, step=step, sent_at_ms=sent_at_ms, source=1, quantity=1),
            TakeIn(process=move, step=step, sent_at_ms=sent_at_ms, lots=(lot, lot)),
        ]

    def said(self, pool: Pool) -> Reconcile:
        """Return something that the WMS says of all batches: often less than is promised."""
        self.as_of += 1
        return Reconcile(
            process=FEED,
            step=self.step,
            sent_at_ms=now_ms(),
            as_of=self.as_of,
            turn=pool.fed.turn if pool.fed is not None else 0,
            complete=True,
            excludes=("damaged",),
            lots=tuple(
                Statement(
                    code=code,
                    orderable=self.dice.randint(-3, 12),
                    expires_at_ms=now_ms() + SOON_MS if code == "A" else None,
                    received_at_ms=5 if code == "B" else None,
                )
                for code in self.dice.sample(CODES, self.dice.randint(1, 3))
            ),
        )


async def told(url: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What the read models say of the one pool."""
    async with database(url) as connection:
        balances = await connection.fetch(_BALANCES)
        stocks = await connection.fetch(_STOCKS)
    return [_row(row) for row in balances], [_row(row) for row in stocks]


def _row(row: asyncpg.Record) -> tuple[object, ...]:
    return (*tuple(row)[:-1], msgspec.json.decode(row["aside"]))


def true(pool: Pool) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What they have to say."""
    balance = (pool.version, pool.available, pool.ordered, pool.held, pool.expired)
    lots = [pool.lots[seq] for seq in sorted(pool.lots)]
    return [(*balance, dict(pool.aside))], [
        (
            *(lot.seq, lot.quantity, lot.available, lot.on_hand, lot.code),
            *(lot.received_at_ms, lot.expires_at_ms, dict(lot.aside)),
        )
        for lot in lots
    ]


async def compare(yard: Yard) -> int:
    """Hold the lists to the journal, as far as they have come; return how far that is."""
    said = await told(yard.url)
    version = said[0][0][0] if said[0] else 0
    assert isinstance(version, int)
    pool = Pool()
    ref = await yard.pool("main", "tea")
    replay(pool, await yard.context.readings.events(ref, after=0, limit=max(version, 1)))
    assert said == true(pool)
    return version


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_lists_of_a_fed_pool_tell_what_it_knows(
    yard: Yard, database_url: str, seed: int
) -> None:
    """Units that stand for missing ones are no one's: rows say how many became available."""
    projection = Projection(url=database_url, era=ERA)
    actor_id = (await yard.pool("main", "tea")).actor_id
    story = Story(yard, actor_id, seed=seed)
    await yard.receive("main", "tea", 5, lot="A")
    for _ in range(STEPS):
        await story.go_on()
        if story.dice.random() < 0.2:
            await projection.catch_up()
            await compare(yard)

    async def is_listed() -> bool:
        await projection.catch_up()
        version, pool = await compare(yard), await story.pool()
        return version == pool.version and kinds.wake_at(pool) is None

    await until(is_listed)
    assert story.shorts
    assert [fault for fault in await faults(database_url) if fault.actor_id == actor_id] == []

    before = await contents(database_url)
    async with database(database_url) as connection:
        await connection.execute(statement("project_forget"))
    await projection.catch_up()
    assert await contents(database_url) == before

    async with open_rebuilding(database_url) as rebuilding:
        await rebuilding.read_models(actor_id)
    assert await contents(database_url) == before
