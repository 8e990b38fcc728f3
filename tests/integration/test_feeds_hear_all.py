"""What a warehouse system (WMS) has told is not lost, and not taken back by what is older."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from allocator.actors.messages import Answer, Outcome
from allocator.domain.feeds import BeginRun, EndRun
from allocator.domain.kinds import Command
from allocator.domain.queries import Query, ReconcileQuery, ShortQuery, View
from allocator.errors import QuarantinedError, UnavailableError
from allocator.feeding.following import Following
from allocator.feeding.lead import Lead
from allocator.feeding.ports import Stated
from allocator.feeding.reach import GivenUpError
from allocator.feeding.runner import Runner
from allocator.persistence.wms import PostgresFeeds
from tests.integration.shop import Shop, until
from tests.integration.test_feeds_api import NATURE, fed_by
from tests.integration.test_wms_tells import Telling

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def telling(shop: Shop) -> AsyncIterator[Telling]:
    async with fed_by(shop, NATURE) as fed:
        yield Telling(fed)


async def ask(telling: Telling, command: Command) -> Answer:
    """Have the feed decide."""
    context = telling.shop.server.context
    standing = await context.feeds.find(telling.shop.warehouse)
    assert standing is not None
    return await context.asker.ask(standing.actor_id, command, principal="")


async def begun(telling: Telling, *, as_of: int) -> int:
    """Begin a run that nobody sees through; return its number."""
    answer = await ask(telling, BeginRun(as_of=as_of, applied_through=0, sent_through=0))
    assert isinstance(answer, Outcome)
    return answer.seq


async def test_an_older_run_that_attaches_a_pool_raises_no_batch_above_what_an_event_has_told(
    telling: Telling,
) -> None:
    """The pool has not followed the event, as it was not attached."""
    await telling.fed.put(poll_s=0)
    await telling.tell(telling.event(as_of=20, orderable=5))
    await telling.heard()

    await telling.pushed(
        as_of=10, items=[telling.item(orderable=10), telling.item("L8", orderable=2)]
    )
    await telling.heard()

    assert await telling.fed.available() == 5 + 2


async def failed(
    telling: Telling, monkeypatch: pytest.MonkeyPatch, *, as_of: int, orderable: int
) -> None:
    """Have a snapshot be pushed that all pools follow, and that is not complete."""

    async def fail(_following: Following) -> int:
        raise GivenUpError("nobody knows what is short", for_good=True)

    with monkeypatch.context() as patched:
        patched.setattr(Following, "look_for_short", fail)
        await telling.pushed(as_of=as_of, items=[telling.item(orderable=orderable)])
        await telling.becomes(orderable)
        await telling.heard()


async def test_a_loss_is_believed_at_once_though_a_run_is_heard_that_may_fail(
    telling: Telling,
) -> None:
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of
    run = await begun(telling, as_of=as_of + 9)

    await telling.tell(telling.event(as_of=as_of + 5, orderable=6))
    await telling.becomes(6)
    await ask(telling, EndRun(run=run, complete=False, lots=0, differences=0))

    assert await telling.fed.available() == 6


async def test_a_snapshot_is_heard_though_a_newer_run_has_failed_before_it_asked_anybody(
    telling: Telling,
) -> None:
    """Nothing was said to a pool that is newer."""
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of
    run = await begun(telling, as_of=as_of + 9)
    await ask(telling, EndRun(run=run, complete=False, lots=0, differences=0))

    await telling.pushed(as_of=as_of + 5, items=[telling.item(orderable=6)])

    await telling.becomes(6)


async def test_a_snapshot_waits_for_a_newer_run_that_nobody_sees_through(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill, until somebody ends it."""
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of
    run = await begun(telling, as_of=as_of + 9)
    heard: list[bool] = []
    hear = Runner.hear_pushed

    async def hear_pushed(runner: Runner) -> bool:
        heard.append(await hear(runner))
        return heard[-1]

    async def is_refused() -> bool:
        return bool(heard)

    monkeypatch.setattr(Runner, "hear_pushed", hear_pushed)
    await telling.pushed(as_of=as_of + 5, items=[telling.item(orderable=6)])
    await until(is_refused)

    await ask(telling, EndRun(run=run, complete=False, lots=0, differences=0))

    await telling.becomes(6)


async def test_an_event_is_believed_though_two_runs_have_failed_one_while_pools_followed(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one has asked nobody anything."""
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of
    await failed(telling, monkeypatch, as_of=as_of + 1, orderable=9)
    run = await begun(telling, as_of=as_of + 9)
    await ask(telling, EndRun(run=run, complete=False, lots=0, differences=0))

    await telling.tell(telling.event(as_of=as_of + 5, orderable=6))

    await telling.becomes(6)


async def test_an_event_says_nothing_that_is_older_than_what_pools_were_asked_by_a_run_that_failed(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool that had nothing to change keeps no trace of it, and would believe the event."""
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of
    await failed(telling, monkeypatch, as_of=as_of + 5, orderable=10)

    await telling.tell(telling.event(as_of=as_of + 3, orderable=12))
    await telling.heard()

    assert await telling.fed.available() == 10


async def test_nothing_that_is_older_than_what_pools_were_asked_by_a_run_that_failed_is_heard(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Likewise of a snapshot."""
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of
    await failed(telling, monkeypatch, as_of=as_of + 5, orderable=10)

    await telling.pushed(as_of=as_of + 3, items=[telling.item(orderable=12)])
    await telling.heard()

    assert await telling.fed.available() == 10


async def test_what_a_former_feed_was_told_is_forgotten_though_the_next_is_put_at_once(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another WMS counts its moments otherwise: none of the former one's is newer to it."""
    monkeypatch.setattr("allocator.feeding.ending.LINGER_MS", 500)
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    await telling.tell(telling.event(as_of=1_000_000, orderable=3))
    await telling.becomes(3)

    async def never(_store: PostgresFeeds, _feed: int) -> None:
        """Have nobody note that the feed has ended before it is put again."""

    with monkeypatch.context() as patched:
        patched.setattr(PostgresFeeds, "end", never)
        await telling.shop.send("DELETE", telling.fed.path)

        async def has_ended() -> bool:
            return (await telling.fed.shown()).status == "ended"

        await until(has_ended)
        await telling.fed.put()

    await telling.becomes(10)


async def test_a_run_of_which_nobody_heard_that_it_was_begun_is_seen_through(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing is polled for a quarter of an hour."""
    await telling.fed.begun(10)
    lost: list[Command] = []
    ask_it = Lead.ask

    def losing(
        lead: Lead, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        answer = ask_it(lead, actor_id, command, principal=principal)
        if not isinstance(command, BeginRun) or lost:
            return answer
        lost.append(command)

        async def lose() -> Answer:
            await answer
            raise UnavailableError(reason="the answer was lost")

        return asyncio.ensure_future(lose())

    monkeypatch.setattr(Lead, "ask", losing)
    telling.fed.wms.truth.damage((telling.shop.product, "L7"), 1)

    await telling.becomes(9)
    assert lost


async def test_units_are_known_to_be_missing_though_nobody_could_look_when_they_vanished(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    await telling.fed.begun(10)
    await telling.shop.placed(quantity=8)
    await telling.fed.put(poll_s=0)
    await telling.fed.told(1)
    failed: list[Query] = []
    look_at_it = Lead.look

    async def look(lead: Lead, actor_id: int, query: Query) -> View:
        if isinstance(query, ShortQuery) and not failed:
            failed.append(query)
            raise UnavailableError(reason="it cannot be looked at")
        return await look_at_it(lead, actor_id, query)

    monkeypatch.setattr(Lead, "look", look)
    await telling.tell(telling.event(as_of=1_000, orderable=5))

    async def is_short() -> bool:
        return (await telling.fed.shown()).shortfall == 3

    await until(is_short)
    assert failed


async def test_no_pool_is_attached_any_more_by_a_run_of_a_feed_that_was_deleted(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it takes nothing in for ever: nobody is there who lets go of it."""
    monkeypatch.setattr("allocator.feeding.ending.LINGER_MS", 500)
    is_asked, may_follow, has_followed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    asked: list[int] = []
    look_at_them, is_it_let_go, ask_it = (
        PostgresFeeds.statements,
        PostgresFeeds.is_let_go,
        Lead.ask,
    )

    async def statements(  # noqa: PLR0913 (as it is)
        store: PostgresFeeds, feed: int, *, run: int, through: int, after: int, limit: int
    ) -> Sequence[Stated]:
        asked.append(feed)
        is_asked.set()
        await may_follow.wait()
        return await look_at_them(store, feed, run=run, through=through, after=after, limit=limit)

    async def is_let_go(store: PostgresFeeds, feed: int) -> bool:
        """Have the run go on after all pools were detached."""
        is_so = await is_it_let_go(store, feed)
        if feed not in asked:  # one of another test, of which nobody has let go yet
            return is_so
        may_follow.set()
        await asyncio.wait_for(has_followed.wait(), timeout=20)
        return is_so

    def ask(
        lead: Lead, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        if isinstance(command, EndRun):
            has_followed.set()
        return ask_it(lead, actor_id, command, principal=principal)

    monkeypatch.setattr(PostgresFeeds, "statements", statements)
    monkeypatch.setattr(PostgresFeeds, "is_let_go", is_let_go)
    monkeypatch.setattr(Lead, "ask", ask)
    telling.fed.wms.truth.receive((telling.shop.product, "L7"), 10)
    await telling.fed.put()
    await is_asked.wait()

    assert (await telling.shop.send("DELETE", telling.fed.path)).status == 202

    async def takes_stock() -> bool:
        return (await telling.shop.receive(quantity=1)).status == 201

    await until(takes_stock)
    assert has_followed.is_set()


async def test_a_product_may_have_had_any_number_of_batches_when_it_is_fed_again(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many as there are in one decision, of which anything is there."""
    monkeypatch.setattr("allocator.feeding.ending.LINGER_MS", 500)
    truth, product = telling.fed.wms.truth, telling.shop.product
    for number in range(200):
        truth.receive((product, f"former-{number}"), 1)
    await telling.fed.begun(1)
    for number in range(200):
        truth.damage((product, f"former-{number}"), 1)
        truth.receive((product, f"later-{number}"), 1)
    await telling.becomes(201)
    assert (await telling.shop.send("DELETE", telling.fed.path)).status == 202

    async def has_ended() -> bool:
        return (await telling.fed.shown()).status == "ended"

    await until(has_ended)
    truth.receive((product, "L7"), 1)
    await telling.fed.put()

    await telling.becomes(202)


async def test_a_dry_run_of_which_a_pool_cannot_be_looked_at_says_so_and_disturbs_nobody(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the feed begins anew for ever, as that is asked for until it is answered."""
    await telling.fed.begun(10)
    look_at_it = Lead.look

    async def look(lead: Lead, actor_id: int, query: Query) -> View:
        if isinstance(query, ReconcileQuery):
            raise QuarantinedError(actor_id=actor_id, why="its row 2 makes no sense")
        return await look_at_it(lead, actor_id, query)

    monkeypatch.setattr(Lead, "look", look)

    answer = await asyncio.wait_for(
        telling.shop.post(f"{telling.fed.path}/poll?dry_run=true"), timeout=20
    )

    assert answer.status == 200
    assert b"quarantined" in answer.body


async def test_a_run_of_which_nobody_knows_what_is_short_says_so_and_disturbs_nobody(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else pushes wait until the feed has begun anew, after every run."""
    await telling.fed.begun(10)
    await telling.shop.placed(quantity=8)
    await telling.fed.told(1)
    look_at_it = Lead.look

    async def look(lead: Lead, actor_id: int, query: Query) -> View:
        if isinstance(query, ShortQuery):
            raise QuarantinedError(actor_id=actor_id, why="its row 2 makes no sense")
        return await look_at_it(lead, actor_id, query)

    monkeypatch.setattr(Lead, "look", look)
    telling.fed.wms.truth.damage((telling.shop.product, "L7"), 5)

    async def is_said() -> bool:
        return "quarantined" in ((await telling.fed.shown()).last_error or "")

    await until(is_said)


async def test_what_vanishes_of_a_product_of_many_batches_is_gone(telling: Telling) -> None:
    """There are more of them than can be said in one go, and nothing was ever ordered of it."""
    truth, product = telling.fed.wms.truth, telling.shop.product
    await telling.fed.begun(1)
    for number in range(300):
        truth.receive((product, f"batch-{number}"), 1)
    await telling.becomes(301)

    truth.damage((product, "batch-7"), 1)

    await telling.becomes(300)
