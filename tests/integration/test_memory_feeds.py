"""Feeds in memory answer as PostgreSQL's statements do: whatever is simulated holds of both."""

import asyncio
import os
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple, Protocol

import msgspec
import pytest

from allocator.domain.catalogue import Product, Warehouse
from allocator.domain.fed import Code
from allocator.domain.feeds import FeedPut
from allocator.domain.positions import Position
from allocator.domain.pushes import Account, Change, Line
from allocator.feeding.ports import Heard, Made, Settling, Standing, Stated
from allocator.feeding.told import Applied, Event, Snapshot
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.feeds import MemoryFeeds
from allocator.persistence.memory.told import MemoryTold
from allocator.persistence.migrate import migrate
from allocator.persistence.pools import PostgresPools
from allocator.persistence.wms import PostgresFeeds
from allocator.persistence.wms_told import PostgresTold
from tests.builders import NOW_MS, records_of
from tests.virtual_time import now_ms, run

SEQUENCES: Final = int(os.environ.get("FIDELITY_SEQUENCES", "25"))
FIRST: Final = int(os.environ.get("FIDELITY_FIRST", "1"))
STEPS: Final = 50
POOLS: Final = {"cup": 1 << 40, "mug": 2 << 40, "tea": 3 << 40}
CODES: Final = ("A", "B", None)
BASES: Final[tuple[dict[Code, int], ...]] = ({}, {"B": 1}, {None: 2})
AS_OFS: Final = range(1, 9)
NUMBERS: Final = range(7)
RUNS: Final = range(1, 4)


class Step(NamedTuple):
    """A call; of what is told, or of anything else that is kept."""

    name: str
    facts: dict[str, object]
    is_of_told: bool = False


class Side(Protocol):
    """Where steps are played, from the beginning on."""

    async def call(self, step: Step) -> object:
        """Make a call; return its answer."""
        ...


class Author:
    """Makes steps up that may follow each other."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(f"feeds {seed}")
        self._reached = Position(1, 0, 0, 0)
        self._numbered = 0

    def steps(self) -> Iterator[Step]:
        """Yield some; who compares may look at everything in the end."""
        yield self._call("agree", through=0)
        for _ in range(STEPS):
            kinds = (self._write, self._tell, self._read, self._turn)
            yield self._dice.choices(kinds, (16, 12, 24, 3))[0]()
        yield self._call("feeds")
        yield self._call("statements", run=2, through=0, after=0, limit=10)

    def _call(self, name: str, **facts: object) -> Step:
        return Step(name, facts)

    def _told(self, name: str, **facts: object) -> Step:
        return Step(name, facts, is_of_told=True)

    def _write(self) -> Step:
        dice = self._dice
        pool = dice.choice(list(POOLS.values()))
        return dice.choice(
            (
                self._pushes,
                self._pushes,
                lambda: self._call("acknowledge", through=dice.choice(NUMBERS)),
                lambda: self._call("fold", through=dice.randrange(self._numbered + 1)),
                lambda: self._call("stage", run=dice.choice(RUNS), heard=self._heard()),
                lambda: self._call("stage", run=dice.choice(RUNS), heard=self._heard()),
                lambda: self._call("note_short", short={pool: dice.choice((0, 2, -1))}),
                lambda: self._call("begin_settling", run=self._settling()),
            )
        )()

    def _settling(self) -> Settling:
        dice = self._dice
        return Settling(
            run=dice.choice(RUNS),
            as_of=dice.choice(AS_OFS),
            applied_through=dice.choice(NUMBERS),
        )

    def _turn(self) -> Step:
        """Return what seldom happens to a feed; numbers may begin anew with it."""
        dice = self._dice
        self._numbered = 0
        return dice.choice(
            (
                lambda: self._call("agree", through=dice.choice(NUMBERS)),
                lambda: self._call("close"),
                lambda: self._call("keep", why=dice.choice((None, "a product"))),
                lambda: self._call("lose"),
                lambda: self._call("put_turns", turns={POOLS["mug"]: 7}),
            )
        )()

    def _tell(self) -> Step:
        dice = self._dice
        return dice.choice(
            (
                lambda: self._told("take_events", events=self._events()),
                lambda: self._told("take_events", events=self._events()),
                lambda: self._told("worked_off", events=self._events()),
                lambda: self._told("forget", as_of=dice.choice(AS_OFS)),
                self._part,
                self._part,
                lambda: self._told("forget_snapshots", as_of=dice.choice(AS_OFS)),
            )
        )()

    def _read(self) -> Step:
        dice = self._dice
        pools = dice.sample(list(POOLS.values()), k=2)
        number, as_of = dice.choice(NUMBERS), dice.choice(AS_OFS)
        return dice.choice(
            (
                lambda: self._call("feeds"),
                lambda: self._call("accounts", warehouse="main", actor_ids=pools),
                lambda: self._call("pending", after=number, limit=2),
                lambda: self._call("newest"),
                lambda: self._call("named", run=dice.choice(RUNS)),
                lambda: self._statements(number),
                lambda: self._statements(number),
                lambda: self._call("settling"),
                lambda: self._call("short"),
                lambda: self._call("is_let_go"),
                lambda: self._told("waiting", besides=pools[:1], limit=20),
                lambda: self._told("wished_ms"),
                lambda: self._told("newer", as_of=as_of, actor_ids=pools),
                lambda: self._told("applied", actor_ids=pools, through=number),
                lambda: self._told("snapshot"),
                lambda: self._told("part", as_of=as_of, part=dice.choice((1, 2))),
            )
        )()

    def _statements(self, through: int) -> Step:
        after = self._dice.choice((0, POOLS["cup"]))
        return self._call(
            "statements", run=self._dice.choice(RUNS), through=through, after=after, limit=2
        )

    def _pushes(self) -> Step:
        dice, before = self._dice, self._reached
        if dice.random() < 1 / 6:
            before = Position(1, before.xid + 9, 0, 0)  # somebody else was faster
        after = Position(1, before.xid + 1, 0, 0)
        skus = dice.sample(list(POOLS), k=dice.randrange(4))
        if before == self._reached:
            self._reached, self._numbered = after, self._numbered + len(skus)
        pushes = [(POOLS[sku], sku, self._lines()) for sku in skus]
        accounts = [self._account(sku) for sku in skus]
        made = Made(pushes=pushes, accounts=accounts)
        return self._call("make_pushes", made=made, before=before, after=after, at_ms=NOW_MS)

    def _lines(self) -> str:
        dice = self._dice
        codes = dice.sample(CODES, k=dice.randrange(1, 3))
        lines = [Line(code=code, decrease=dice.randrange(-2, 4), after=4) for code in codes]
        return msgspec.json.encode(
            [msgspec.structs.replace(line, after=dice.randrange(9)) for line in lines]
        ).decode()

    def _account(self, sku: str) -> Account:
        dice = self._dice
        return Account(
            actor_id=POOLS[sku],
            turn=dice.randrange(1, 9),
            attached=dice.random() < 1 / 2,
            excludes=("damaged",),
            codes={3: None, 4: "A"},
            committed={"A": 3, None: 1},
            base=dice.choice(BASES),
            through=9,
            changed=4,
            untold={"A": Change(4, decrease=2)},
        )

    def _heard(self) -> list[Heard]:
        dice = self._dice
        places = [(pool, code) for pool in POOLS.values() for code in CODES]
        return [
            Heard(
                actor_id=pool,
                code=code,
                orderable=dice.randrange(-2, 9),
                expires_at_ms=dice.choice((None, NOW_MS + 1)),
                received_at_ms=dice.choice((None, NOW_MS)),
            )
            for pool, code in dice.sample(places, k=dice.randrange(1, 5))
        ]

    def _events(self) -> list[Event]:
        dice = self._dice
        return [
            Event(
                actor_id=heard.actor_id,
                code=heard.code,
                as_of=dice.choice(AS_OFS),
                applied_through=dice.choice(NUMBERS),
                orderable=heard.orderable,
                expires_at_ms=heard.expires_at_ms,
                received_at_ms=heard.received_at_ms,
                wished_ms=dice.choice((None, NOW_MS + dice.randrange(5))),
            )
            for heard in self._heard()
        ]

    def _part(self) -> Step:
        dice = self._dice
        snapshot = Snapshot(
            as_of=dice.choice(AS_OFS), applied_through=dice.choice((1, 1, 1, 2)), parts=2
        )
        return self._told("take_part", snapshot=snapshot, part=dice.choice((1, 2)), items=b"[]")


class InMemory:
    """A feed in a `MemoryDatabase`."""

    def __init__(self) -> None:
        database = MemoryDatabase(clock=now_ms, dead_after_ms=1_000)
        database.feeds.catalogue["main"] = POOLS
        database.rows[1] = {1: records_of([(0, _PUT)], actor_id=1)[0]}
        self._feeds = MemoryFeeds(database, name="worker 1")
        self._told = MemoryTold(database, name="worker 1")

    async def begin(self) -> None:
        """Have the feed be known."""
        await self._feeds.begin(1, "main")
        self._feeds._tables.rows[1].position = Position(1, 0, 0, 0)  # noqa: SLF001 (as is put below)

    async def call(self, step: Step) -> object:
        """Make a call; return its answer."""
        side = self._told if step.is_of_told else self._feeds
        return await _call(side, 1, step)


class InPostgres:
    """The same in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._feeds = PostgresFeeds(pool)
        self._told = PostgresTold(pool)
        self._feed = 0

    async def begin(self) -> None:
        """Have the feed be known, and nothing else."""
        for table in ("pools", "pushes", "lots", "events", "parts", "feeds"):
            await self._pool.execute(f"DELETE FROM wms_{table}")
        await self._pool.execute("DELETE FROM journal")
        self._feed = await self._feeds.begin("main", position=Position(1, 0, 0, 0))
        await self._pool.execute("UPDATE wms_feeds SET numbers = 'new'")
        put = records_of([(0, _PUT)], actor_id=self._feed)[0]
        await self._pool.execute(_INSERT, self._feed, put.at_ms, put.kind, put.digest, put.body)

    async def call(self, step: Step) -> object:
        """Make a call; return its answer."""
        side = self._told if step.is_of_told else self._feeds
        return await _call(side, self._feed, step)


_PUT: Final = FeedPut(
    warehouse="main", url="http://w", poll_ms=1_000, rate_per_s=1.0, burst=1, excludes=()
)
_INSERT: Final = """
INSERT INTO journal (actor_id, seq, at, era, version, kind, digest, body)
VALUES ($1, 1, $2::timestamptz, 1, 1, $3, $4, $5)
"""


async def _call(side: object, feed: int, step: Step) -> object:
    facts = dict(step.facts)
    if step.name == "feeds":
        return _compared(await side.feeds())  # type: ignore[attr-defined]
    return _compared(await getattr(side, step.name)(feed, **facts))


def _compared(answer: object) -> object:
    """Return of an answer what has to be the same: not the order of what has none."""
    match answer:
        case Standing():
            # Actors have other numbers here and there; how much waits is told to operators only.
            return msgspec.structs.replace(answer, actor_id=0, events=0, events_since_ms=None)
        case Stated():
            lots = sorted(answer.lots, key=repr)
            return answer.actor_id, answer.turn, answer.is_attached, lots
        case Applied():
            return answer.turn, dict(answer.units)
        case list():
            return sorted((_compared(each) for each in answer), key=repr)
        case dict():
            return {key: _compared(each) for key, each in answer.items()}
        case _:
            return answer


async def _play(side: InMemory | InPostgres, steps: list[Step]) -> list[object]:
    await side.begin()
    return [await side.call(step) for step in steps]


async def _opened(database_url: str) -> Pool:
    connection = await connect(database_url, application_name="feeds in memory")
    await migrate(connection)
    await open_installation(connection)
    connection.terminate()
    opened = await open_pool(database_url, size=2)
    catalogue = PostgresCatalogue(opened, era=1, clock=lambda: NOW_MS)
    main = Warehouse(code="main", name="Main")
    await catalogue.put_warehouse(main, principal="", overwrite=True)
    for sku in POOLS:
        await catalogue.put_product(Product(sku=sku, name=sku), principal="", overwrite=True)
    await PostgresPools(opened).make_pools("main", POOLS)
    return opened


@pytest.mark.timeout(60 + SEQUENCES)
def test_what_is_kept_of_feeds_is_the_same_in_memory_and_in_postgres(database_url: str) -> None:
    with asyncio.Runner() as runner:
        pool = runner.run(_opened(database_url))
        try:
            for seed in range(FIRST, FIRST + SEQUENCES):
                steps = list(Author(seed).steps())
                here = run(_play(InMemory(), steps))
                there = runner.run(_play(InPostgres(pool), steps))
                for number, (step, mine, theirs) in enumerate(zip(steps, here, there, strict=True)):
                    assert mine == theirs, f"seed {seed}: step {number}, {step}"
        finally:
            pool.terminate()
