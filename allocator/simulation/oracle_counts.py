"""What a fed pool counts and offers, held to what its warehouse's own system has said."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from allocator.domain.feeds import RunEnded
from allocator.domain.reconciling import LotReconciled, Reconcile
from allocator.domain.records import Record
from allocator.simulation.history import Fed
from allocator.simulation.model_feed import Code
from allocator.simulation.oracle_feed import FeedEvidence
from allocator.simulation.oracle_feeds import Feeds, appearing, told_of
from allocator.simulation.oracle_pool import PoolEvidence
from allocator.simulation.warehouse import sku_of


class _Seen(NamedTuple):
    """A row of a pool, as somebody sees it who hears what its warehouse says.

    Attributes:
        said: What it says of a batch, if it does.
        is_whole: Whether all batches were stated then.
        is_unclear: Whether that was so in one ask, and not in another that named the batch.
        as_of: The newest of which all was heard, 0 for none.
        ends: Whether what was decided together with it ends here.
    """

    pool: PoolEvidence
    seq: int
    said: LotReconciled | None
    is_whole: bool
    is_unclear: bool
    as_of: int
    ends: bool


def nothing_is_counted_that_never_was(feeds: Feeds) -> list[str]:
    """No pool counts more units than there are by the newest that was heard (rows N4 and N5).

    So what is promised is there, but for what was lost since. Heard is what a complete run said,
    and what was said of all batches at once. Who hears of one batch need not know yet that another
    has fewer; then more of it appears only if there is no other.
    """
    wrong: list[str] = []
    for seen in _seen(feeds):
        pool, seq = seen.pool, seen.seq
        if seen.said is None or seen.is_unclear:
            continue
        if not seen.is_whole:
            others = _there_before(pool, seq) - {seen.said.code}
            if others and appearing(seen.said) > 0:
                wrong.append(f"{pool.name} has more of one batch at seq {seq}: {others} are there")
            continue
        counted, there = pool.model.feed.counted[seq], _total(feeds, pool, as_of=seen.as_of)
        if counted > there and seen.ends:
            wrong.append(
                f"{pool.name} counts {counted} units at seq {seq}, and as of "
                f"{seen.as_of} there were {there}"
            )
    return wrong


def _there_before(pool: PoolEvidence, seq: int) -> frozenset[Code]:
    """Return the batches that were there before what a row says was decided."""
    first = pool.events[seq - 1]
    assert isinstance(first, LotReconciled), "it says something of a batch"
    before = seq - 1
    while before and isinstance(event := pool.events[before - 1], LotReconciled):
        if event.as_of != first.as_of:
            break
        before -= 1
    return pool.model.feed.there.get(before, frozenset())


def nothing_is_for_sale_that_is_not_there(feeds: Feeds) -> list[str]:
    """While anybody can buy, all that was promised or has left is there, in whatever batch.

    Of a batch of which something newer was said alone, the most that was said counts.
    """
    wrong: list[str] = []
    known: dict[tuple[int, int], int] = {}
    for seen in _seen(feeds):
        pool, promised = seen.pool, seen.pool.model.feed.promised.get(seen.seq)
        if promised is None or not seen.as_of or not seen.ends or seen.is_unclear:
            continue
        moment = pool.actor_id, seen.as_of
        if moment not in known:
            known[moment] = _most(feeds, pool, as_of=seen.as_of)
        if promised > (there := known[moment]):
            wrong.append(
                f"{pool.name} has promised {promised} units at seq {seen.seq}, those included that"
                f" left or are for sale, and as of {seen.as_of} there were {there}"
            )
    return wrong


def _seen(feeds: Feeds) -> Iterator[_Seen]:
    """Yield the rows of all pools, in the order of the tail."""
    fed, feed = feeds.fed, feeds.feed
    if fed is None or feed is None:
        return
    heard = dict.fromkeys(feeds.pools, 0)
    said = [(each.pool, each.command) for each in fed.asked if isinstance(each.command, Reconcile)]
    whole = {(pool, what.as_of) for pool, what in said if what.complete}
    partly = {
        (pool, what.as_of, lot.code)
        for pool, what in said
        if not what.complete
        for lot in what.lots
    }
    for row, after in pairwise([*feeds.rows(), None]):
        assert row is not None, "only the last one is"
        if row.actor_id == feed.actor_id:
            as_of = _completed(feed, row.seq)
            heard = {pool: max(before, as_of) for pool, before in heard.items()}
            continue
        pool = feeds.pools[row.actor_id]
        event = pool.events[row.seq - 1]
        differs = event if isinstance(event, LotReconciled) else None
        moment = pool.actor_id, 0 if differs is None else differs.as_of
        is_whole = moment in whole
        is_unclear = is_whole and differs is not None and (*moment, differs.code) in partly
        if is_whole and not is_unclear:
            heard[pool.actor_id] = max(heard[pool.actor_id], moment[1])
        yield _Seen(
            pool=pool,
            seq=row.seq,
            said=differs,
            is_whole=is_whole,
            is_unclear=is_unclear,
            as_of=heard[pool.actor_id],
            ends=not _goes_on(pool, row, after),
        )


def _total(feeds: Feeds, pool: PoolEvidence, *, as_of: int) -> int:
    assert feeds.fed is not None, "it has pools"
    return feeds.fed.warehouse.total(sku_of(pool.actor_id), as_of=as_of)


def _most(feeds: Feeds, pool: PoolEvidence, *, as_of: int) -> int:
    """Return how many units of all batches were said to be there, as of a moment or later."""
    fed, most = feeds.fed, Counter[Code]()
    assert fed is not None, "it has pools"
    view, sku = fed.warehouse.said(as_of=as_of), sku_of(pool.actor_id)
    told = {line.batch for push in fed.warehouse.told if push.sku == sku for line in push.lines}
    named = set() if view is None else {each.batch for each in view.items if each.sku == sku}
    commands = [each.command for each in fed.asked if each.pool == pool.actor_id]
    asks = [each for each in commands if isinstance(each, Reconcile) and each.as_of > as_of]
    alone = {each.as_of for each in asks if not each.complete}
    later = {(lot.code, each.as_of) for each in asks if each.as_of in alone for lot in each.lots}
    for code, moment in {*((code, as_of) for code in told | named), *later}:
        most[code] = max(most[code], _gross(fed, sku, code, as_of=moment))
    return sum(most.values())


def _gross(fed: Fed, sku: str, code: Code, *, as_of: int) -> int:
    """Return how many units of a batch there ever were as of a moment, as was said then."""
    view = fed.warehouse.said(as_of=as_of)
    if view is None:
        return 0
    orderable = sum(one.orderable for one in view.items if (one.sku, one.batch) == (sku, code))
    return orderable + told_of(fed, sku, code, through=view.applied_through)


def _completed(feed: FeedEvidence, seq: int) -> int:
    """Return as of when a row says that everything was heard; 0 if it does not."""
    event, run = feed.events[seq - 1], feed.states[seq].run
    return run.as_of if isinstance(event, RunEnded) and event.complete and run is not None else 0


def _goes_on(pool: PoolEvidence, row: Record, after: Record | None) -> bool:
    """Say whether the next row was decided together with this one."""
    if after is None or (after.actor_id, after.seq) != (row.actor_id, row.seq + 1):
        return False
    together = after.at_ms == row.at_ms
    return together and isinstance(pool.events[after.seq - 1], LotReconciled)
