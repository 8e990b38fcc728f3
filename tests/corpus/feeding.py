"""Stories of units that are counted anew, and of warehouses that are fed by their own system."""

from allocator.domain.adjustments import Adjust, SetState
from allocator.domain.carts import CloseCart, SetLine
from allocator.domain.feeds import (
    BeginRun,
    DeleteFeed,
    EndFeed,
    EndPart,
    EndPoll,
    EndRun,
    PollNow,
    PutFeed,
)
from allocator.domain.messages import CancelOrder, DispatchOrder, PlaceOrder, ReceiveStock
from allocator.domain.orders import Line
from allocator.domain.reconciling import Detach, Reconcile, Statement
from tests.corpus.author import HOUR_MS, TEXTS, Author
from tests.corpus.buying import CART
from tests.corpus.moving import move

MINUTE_MS = 60_000


def moved(source: str | None, target: str | None, quantity: int | None = 1) -> Adjust:
    """Return what moves units from one state to another, whichever they are of."""
    return Adjust(source=source, target=target, quantity=quantity, reason="counted")


def recalled(lot: int, *, product: str | None = None) -> Adjust:
    """Return what quarantines all of a lot."""
    return Adjust(
        source="available",
        target="quarantined",
        quantity=None,
        lot=lot,
        reason=TEXTS[0],
        reference=TEXTS[1],
        product=product,
    )


async def adjustments(author: Author) -> None:
    """Units are damaged, found, written off and counted; lots are recalled under their orders."""
    await author.product("counted", name="Counted")
    await author.location("cage", name="Cage")
    pool = await author.pool("counted")
    first = await author.ask(pool, ReceiveStock(quantity=10, lot="A"))
    await author.ask(pool, moved("available", "damaged", 3))
    await author.ask(pool, moved("damaged", "available"), principal="depot", key="adjust-1")
    await author.ask(pool, moved(None, "available", 2))
    await author.ask(pool, moved("damaged", None))
    await author.refused(pool, moved("lost", None))
    version = await author.ask(pool, moved("available", "lost"))
    await author.ask(pool, SetState(state="lost", quantity=3, version=version, reason="shelf 4"))
    orders = [await author.ask(pool, PlaceOrder(quantity=4)) for _ in range(2)]
    await author.ask(pool, recalled(first))
    await author.wake(pool)  # what is left elsewhere goes to the orders
    await author.ask(pool, ReceiveStock(quantity=1))
    await author.ask(pool, CancelOrder(order=orders[1]))
    await author.wake(pool)  # what came back is quarantined
    await author.refused(pool, DispatchOrder(order=orders[0]))
    cage = await author.pool("counted", warehouse="cage")
    lots = [
        await author.ask(cage, ReceiveStock(quantity=3, product="counted", lot=code))
        for code in ("A", "B")
    ]
    order = await author.ask(cage, PlaceOrder(quantity=3, product="counted"))
    await author.ask(cage, recalled(lots[0], product="counted"))  # all of it is ordered
    await author.wake(cage)
    await author.ask(cage, recalled(lots[1], product="counted"))
    await author.ask(cage, CancelOrder(order=order))
    await author.wake(cage)


class Fed:
    """A feed, and what it says to pools."""

    def __init__(self, author: Author, actor_id: int) -> None:
        self.author = author
        self.actor_id = actor_id
        self.as_of = 0

    async def put(self, warehouse: str, *, excludes: tuple[str, ...] = ()) -> None:
        put = PutFeed(
            warehouse=warehouse,
            url="https://wms.example",
            poll_ms=MINUTE_MS,
            rate_per_s=2.5,
            burst=5,
            excludes=excludes,
        )
        await self.author.ask(self.actor_id, put, principal="ada")

    async def run(self, **members: int) -> int:
        """Begin a run; return it."""
        self.as_of += 1
        self.author.now_ms += MINUTE_MS
        begin = BeginRun(as_of=self.as_of, applied_through=0, sent_through=0, **members)
        return await self.author.ask(self.actor_id, begin)

    async def polled(self) -> int:
        """Poll, and begin a run; return it."""
        self.author.now_ms += MINUTE_MS
        return await self.run(poll=await self.author.ask(self.actor_id, PollNow()))

    async def say(
        self, pool: int, *lots: Statement, run: int, turn: int = 0, excludes: tuple[str, ...] = ()
    ) -> None:
        """Have a pool follow what was heard of all its batches, which the row `turn` attached."""
        said = Reconcile(
            process=self.actor_id,
            step=run,
            sent_at_ms=self.author.now_ms,
            as_of=self.as_of,
            turn=turn,
            lots=lots,
            complete=True,
            excludes=excludes,
        )
        await self.author.ask(pool, said)

    async def let_go(self, pool: int) -> None:
        detach = Detach(process=self.actor_id, step=1, sent_at_ms=self.author.now_ms)
        await self.author.ask(pool, detach)


async def feeds(author: Author) -> None:
    """A warehouse is fed: polls and runs that succeed, that fail, in parts; then no longer."""
    await author.product("fed", name="Fed")
    pool, other = await author.pool("fed"), await author.pool("fed", warehouse="window")
    await author.ask(pool, ReceiveStock(quantity=3))
    await author.ask(pool, PlaceOrder(quantity=2))
    fed = Fed(author, await author.feed("main"))
    await fed.put("main", excludes=("damaged",))
    run = await fed.polled()
    soon = author.now_ms + 24 * HOUR_MS
    units = Statement(code="A", orderable=5, expires_at_ms=soon, received_at_ms=author.now_ms)
    await fed.say(pool, Statement(orderable=3), units, run=run, excludes=("damaged",))
    await fed.say(other, Statement(code=TEXTS[0], orderable=1), run=run)
    await author.ask(fed.actor_id, EndRun(run=run, complete=True, lots=3, differences=2))
    await author.ask(pool, PlaceOrder(quantity=4, customer="ada"))
    run = await fed.run(parts=2)
    fewer = (Statement(orderable=1), Statement(code="A", orderable=1))
    await fed.say(pool, *fewer, run=run, turn=3)
    await author.ask(fed.actor_id, EndPart(run=run, part=1, lots=2, differences=1))
    await author.ask(fed.actor_id, EndPart(run=run, part=2, lots=0, differences=0))
    ended = EndRun(run=run, complete=True, lots=0, differences=1, shortfall=4)
    await author.ask(fed.actor_id, ended)
    author.now_ms += MINUTE_MS
    poll = await author.ask(fed.actor_id, PollNow())
    await author.ask(fed.actor_id, EndPoll(poll=poll))
    author.now_ms += MINUTE_MS
    poll = await author.ask(fed.actor_id, PollNow())
    failed = EndPoll(poll=poll, failure="no answer in time", retry_after_ms=1_500)
    await author.ask(fed.actor_id, failed)
    run = await fed.run()
    failed_run = EndRun(
        run=run, complete=False, lots=1, differences=0, failure=TEXTS[0], retry_after_ms=500
    )
    await author.ask(fed.actor_id, failed_run)
    await author.ask(fed.actor_id, DeleteFeed(), principal="ada")
    for each in (pool, other):
        await fed.let_go(each)
    author.now_ms += MINUTE_MS
    await author.ask(fed.actor_id, EndFeed())
    under_way = Fed(author, await author.feed("N.o_r-th"))
    await under_way.put("N.o_r-th")
    await under_way.polled()


async def shortfalls(author: Author) -> None:
    """Units that come back to a batch stand for missing ones first, wherever they come from."""
    await author.product("short", name="Short")
    pool, source = await author.pool("short"), await author.pool("short", warehouse="window")
    await author.ask(source, ReceiveStock(quantity=2, lot="A"))
    fed = Fed(author, await author.feed("dock"))
    await fed.put("dock")
    run = await fed.polled()
    await fed.say(pool, Statement(code="A", orderable=20), run=run)
    kept = await author.ask(pool, PlaceOrder(quantity=5))
    line = Line(pool=pool, warehouse="main", product="short", quantity=4)
    carts = [await author.begin(CART) for _ in range(2)]
    for cart in carts:
        await author.lead(cart, SetLine(line=line))
    await author.ask(pool, moved("available", "damaged", 2))
    cancelled = await author.ask(pool, PlaceOrder(quantity=5))
    run = await fed.run()
    await fed.say(pool, Statement(code="A", orderable=5), run=run, turn=1)
    await author.ask(pool, CancelOrder(order=cancelled))
    less = Line(pool=pool, warehouse="main", product="short", quantity=2)
    await author.lead(carts[0], SetLine(line=less))
    await author.lead(carts[1], CloseCart())
    await author.ask(pool, moved("damaged", "available", 2))
    await author.begin(move("short", 2, places=(source, pool), codes=("window", "main")))
    run = await fed.run()
    await fed.say(pool, Statement(code="A", orderable=3), run=run, turn=1)
    run = await fed.run()
    batches = (Statement(code="A", orderable=3), Statement(code="B", orderable=9))
    await fed.say(pool, *batches, run=run, turn=1)
    await author.wake(pool)
    await author.ask(pool, DispatchOrder(order=kept))
