"""Write what this release journals into the corpus: `python -m tests.corpus.make v0.1`.

The real code writes the stories into a real PostgreSQL, under a clock that the stories move. What
was written once is never written again: a file that is there stays as it is, and what is new goes
into one of another name, `v0.2`, or `v0.2b` if that is there. The digests it prints go to the test.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path

import msgspec

from allocator.actors.actor import Actor
from allocator.actors.errands import Errand, Office
from allocator.actors.keys import KeyedRequest
from allocator.actors.limits import Limits
from allocator.actors.messages import Answer, Envelope, Noted, Outcome
from allocator.actors.ports import Journal
from allocator.actors.worker import Worker
from allocator.domain.api_keys import Role
from allocator.domain.carts import Cart
from allocator.domain.catalogue import Location, Price, Product, Warehouse
from allocator.domain.checkouts import Charge
from allocator.domain.feeds import Feed
from allocator.domain.ids import ACTOR_BITS, SHARD_BITS
from allocator.domain.interests import Interest
from allocator.domain.kinds import Command, blank, intents, kind_of
from allocator.domain.messages import Wake
from allocator.domain.moves import Move
from allocator.domain.orders import Order, OrderRequested
from allocator.domain.pool import Pool
from allocator.domain.positions import START
from allocator.domain.processes import Ask
from allocator.domain.records import Record
from allocator.domain.replay import replay
from allocator.domain.webhooks import Webhook
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool as ConnectionPool
from allocator.persistence.connections import open_pool
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.pools import PostgresPools
from allocator.persistence.reader import JournalReader
from allocator.persistence.webhooks import PostgresWebhooks
from allocator.persistence.wms import PostgresFeeds
from tests.corpus.author import EVERYTHING
from tests.corpus.reading import (
    CORPUS,
    FinalEntry,
    FinalState,
    final_cart,
    final_feed,
    final_move,
    final_order,
    final_pool,
    row_of,
)
from tests.corpus.stories import STORIES
from tests.integration.journals import in_postgres

START_MS = 1_767_225_600_123
ERA = 1
DRAIN_MS = 5_000
PATIENCE_S = 10.0
ROWS_MAX = 1_000
"""Of one actor."""


class CodeOfToday:
    """An `Author`: a worker and the catalogue on one database."""

    def __init__(self, connections: ConnectionPool, journal: Journal) -> None:
        self.now_ms = START_MS
        self.worker = Worker(journal, clock=lambda: self.now_ms, limits=Limits())
        self._connections = connections
        self._catalogue = PostgresCatalogue(connections, era=ERA, clock=lambda: self.now_ms)
        self._api_keys = PostgresApiKeys(connections, era=ERA, clock=lambda: self.now_ms)
        self._webhooks = PostgresWebhooks(
            connections, era=ERA, clock=lambda: self.now_ms, anywhere=False
        )
        self._ears = _Ears(self.worker.office)
        self.worker.office.cashier = _Nobody()

    async def warehouse(self, code: str, *, name: str, principal: str = "") -> None:
        warehouse = Warehouse(code=code, name=name)
        await self._catalogue.put_warehouse(warehouse, principal=principal, overwrite=True)

    async def location(
        self,
        code: str,
        *,
        name: str,
        warehouse: str = "main",
        single_product: bool = True,
        principal: str = "",
    ) -> None:
        location = Location(
            code=code, name=name, warehouse=warehouse, single_product=single_product
        )
        stored, _ = await self._catalogue.put_location(location, principal=principal)
        assert stored == location

    async def product(
        self, sku: str, *, name: str, price: tuple[int, str] | None = None, principal: str = ""
    ) -> None:
        priced = None if price is None else Price(amount=price[0], currency=price[1])
        product = Product(sku=sku, name=name, price=priced)
        await self._catalogue.put_product(product, principal=principal, overwrite=True)

    async def api_key(self, name: str, *, role: Role, principal: str = "") -> None:
        digest = blake2b(name.encode()).digest()
        await self._api_keys.create(name, role=role, secret_digest=digest, principal=principal)

    async def revoked(self, name: str, *, principal: str = "") -> None:
        assert await self._api_keys.revoke(name, principal=principal)

    async def webhook(  # noqa: PLR0913 (what one consists of)
        self,
        name: str,
        *,
        url: str,
        warehouse: str | None = None,
        product: str | None = None,
        kinds: tuple[str, ...] | None = None,
        principal: str = "",
    ) -> None:
        interest = Interest(warehouse=warehouse, product=product, kinds=kinds)
        webhook = Webhook(name=name, url=url, interest=interest)
        await self._webhooks.put(webhook, principal=principal)

    async def rotated(self, name: str, *, principal: str = "") -> None:
        assert await self._webhooks.rotate(name, principal=principal)

    async def unhooked(self, name: str, *, principal: str = "") -> None:
        assert await self._webhooks.delete(name, principal=principal)

    async def pool(self, sku: str, *, warehouse: str = "main") -> int:
        found = await PostgresPools(self._connections).open_pool(warehouse, sku)
        assert found is not None
        return found.actor_id

    async def feed(self, warehouse: str) -> int:
        feeds = PostgresFeeds(self._connections)
        return await feeds.begin(warehouse, position=START)

    async def last_pool(self, sku: str) -> int:
        greatest = (1 << ACTOR_BITS - SHARD_BITS) - 1
        await self._connections.execute(f"SELECT setval('actor_numbers', {greatest}, false)")
        return await self.pool(sku)

    async def ask(
        self, actor_id: int, command: Command, *, principal: str = "", key: str | None = None
    ) -> int:
        answer = await self._answer(actor_id, command, principal=principal, key=key)
        assert isinstance(answer, Outcome), answer
        return answer.seq

    async def begin(
        self,
        command: Command,
        *,
        principal: str = "",
        key: str | None = None,
        heard: int = EVERYTHING,
        at_once: bool = False,
    ) -> int:
        self._ears.at_once = at_once
        actor_id = await self.worker.begin(None if key is None else f"{principal}/{key}")
        await self.lead(actor_id, command, principal=principal, key=key, heard=heard)
        return actor_id

    async def lead(
        self,
        actor_id: int,
        command: Command,
        *,
        principal: str = "",
        key: str | None = None,
        heard: int = EVERYTHING,
    ) -> int:
        self._ears.heard = heard
        seq = await self.ask(actor_id, command, principal=principal, key=key)
        await self._settled(actor_id)
        return seq

    async def _settled(self, actor_id: int) -> None:
        """Wait until a process has come as far as it can."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._has_more_to_hear(actor_id):  # noqa: ASYNC110 (nobody says)
                await asyncio.sleep(0.001)

    async def _has_more_to_hear(self, actor_id: int) -> bool:
        reader = JournalReader(self._connections)
        state = await reader.state(actor_id)
        async for records in reader.records(actor_id, after_seq=state.version):
            replay(state, records)
        return any(ask.number <= self._ears.heard for ask in intents(state))

    async def wake(self, actor_id: int) -> None:
        answer = await self._answer(actor_id, Wake(), principal="", key=None)
        assert isinstance(answer, Noted | Outcome), answer  # whatever comes first wakes a pool, too
        await self._settled(actor_id)

    async def refused(self, actor_id: int, command: Command) -> None:
        answer = await self._answer(actor_id, command, principal="", key=None)
        assert not isinstance(answer, Outcome | Noted), answer

    async def late(self, actor_id: int, command: Command) -> None:
        answer = await self._answer(actor_id, command, principal="", key=None)
        assert isinstance(answer, Noted), answer

    async def _answer(
        self, actor_id: int, command: Command, *, principal: str, key: str | None
    ) -> Answer:
        if key is None:
            reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self.worker.directory.get(actor_id).tell(Envelope(command, reply, principal))
            return await reply
        digest = blake2b(repr(command).encode(), digest_size=16).digest()
        request = KeyedRequest(actor_id, command, principal, key, digest)
        return await self.worker.ask_once(request)


class _Ears:
    """Lets the asks of processes up to a number leave, and later ones never.

    Attributes:
        heard: That number.
        at_once: Whether orders are decided at once, and nobody has to be asked.
    """

    def __init__(self, office: Office) -> None:
        self.heard = EVERYTHING
        self.at_once = False
        self._begin, self._at_hand = office.begin, office.at_hand
        office.begin = self.begin  # type: ignore[method-assign]  # nothing else sees all of them
        office.at_hand = self.at_hand  # type: ignore[method-assign]

    def begin(self, errand: Errand, ask: Ask) -> None:
        if ask.number <= self.heard:
            self._begin(errand, ask)

    def at_hand(self, request: OrderRequested) -> list[tuple[Actor, Pool]] | None:
        return self._at_hand(request) if self.at_once else None


class _Nobody:
    """Takes no money: what is heard of a charge is told in the story."""

    def charge(self, actor_id: int, charge: Charge) -> None:
        """Do nothing."""


@asynccontextmanager
async def code_of_today(url: str) -> AsyncIterator[CodeOfToday]:
    """Serve an empty database, with nothing on the worker's side that a story does not cause."""
    async with in_postgres(url, dead_after_ms=600_000) as journals:
        connections = await open_pool(url, size=2)
        try:
            author = CodeOfToday(connections, await journals.open())
            await author.worker.start()
            for task in author.worker.tasks:
                if task.get_name() != "journal writer":
                    task.cancel()
            yield author
            await author.worker.stop(drain_ms=DRAIN_MS)
        finally:
            connections.terminate()


async def written(url: str) -> tuple[list[Record], dict[int, FinalState]]:
    """Have every story told; return all rows by actor and seq, and what became of the actors."""
    async with code_of_today(url) as author:
        for story in STORIES:
            await story(author)
    connections = await open_pool(url, size=1)
    try:
        rows: list[Record] = []
        finals: dict[int, FinalState] = {}
        for actor_id, kind, key in await connections.fetch(
            "SELECT id, kind, key FROM actors ORDER BY id"
        ):
            page = await JournalReader(connections).page(actor_id, after_seq=0, limit=ROWS_MAX)
            assert len(page) < ROWS_MAX
            rows += page
            finals[actor_id] = final_of(kind, key, page)
    finally:
        connections.terminate()
    return rows, finals


def final_of(kind: str, key: str, records: Sequence[Record]) -> FinalState:
    """Return what an actor's rows add up to."""
    if kind in {"pool", "move", "order", "cart", "feed"}:
        state = blank(kind_of(kind))
        replay(state, records)
        match state:
            case Pool():
                return final_pool(key, state)
            case Move():
                return final_move(key, state)
            case Order():
                return final_order(key, state)
            case Cart():
                return final_cart(key, state)
            case Feed():
                return final_feed(key, state)
            case _:
                raise AssertionError(f"no story tells of a {kind}")
    row = records[-1]
    contents = msgspec.json.decode(row.body)
    entry = {"actor": "entry", "kind": kind, "key": key, "version": row.seq, "contents": contents}
    return msgspec.convert(entry, FinalEntry)


def main(release: str) -> None:
    """Make the files of a release, unless they are there."""
    rows_at, finals_at = CORPUS / f"{release}.ndjson", CORPUS / f"{release}.json"
    if rows_at.exists() or finals_at.exists():
        sys.exit(f"{release} is in the corpus already, for ever: name the release that comes next")
    with tempfile.TemporaryDirectory(prefix="allocator-corpus-") as directory:
        Path(directory).chmod(0o755)  # run by root, PostgreSQL runs under another account
        with EmbeddedPostgres(Path(directory) / "data") as server:
            rows, finals = asyncio.run(written(server.dsn))
    rows_at.write_bytes(b"".join(msgspec.json.encode(row_of(row)) + b"\n" for row in rows))
    finals_at.write_bytes(msgspec.json.format(msgspec.json.encode(finals), indent=1) + b"\n")
    for path in (rows_at, finals_at):
        digest = blake2b(path.read_bytes(), digest_size=16).hexdigest()
        sys.stdout.write(f'    "{path.name}": "{digest}",\n')


if __name__ == "__main__":
    main(sys.argv[1])
