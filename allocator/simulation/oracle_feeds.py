"""Laws of a warehouse that has a system of its own (rows N2 to N5, and N10 to N12).

Each returns what contradicts it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from allocator.domain.feeds import Run
from allocator.domain.reconciling import FeedAttached, LotReconciled
from allocator.domain.records import Record
from allocator.simulation.history import Evidence, Fed
from allocator.simulation.model_feed import Code, Sums
from allocator.simulation.oracle_feed import FeedEvidence
from allocator.simulation.oracle_pool import PoolEvidence
from allocator.simulation.warehouse import Request, Told, sku_of
from allocator.wms.interface import Push

_SLACK = 1e-6
"""Of a bucket of tokens, for what floats leave."""


class Feeds:
    """A feed, its warehouse, and the pools of that; `fed` is None if there is none.

    Attributes:
        pools: Those of the warehouse, by actor.
        feed: The feed; None if it never began.
    """

    def __init__(
        self, evidence: Evidence, pools: Sequence[PoolEvidence], feeds: Sequence[FeedEvidence]
    ) -> None:
        self.fed: Fed | None = evidence.fed
        ours = () if self.fed is None else self.fed.warehouse.terms.pools
        self.pools = {pool.actor_id: pool for pool in pools if pool.actor_id in ours}
        self.feed = next(iter(feeds), None)
        self._commits = evidence.commits

    def rows(self) -> Iterator[Record]:
        """Yield the rows of the feed and its pools, in the order of the tail."""
        feed = None if self.feed is None else self.feed.actor_id
        for _, row in self._commits:
            if row.actor_id == feed or row.actor_id in self.pools:
                yield row


def what_is_reconciled_is_what_the_warehouse_said(feeds: Feeds) -> list[str]:
    """Both figures of a row are the warehouse's, as of the moment that the row names (row N10).

    What it had applied is what it was told of, push by push; of others there is nothing. A pool
    that is attached has no more than the warehouse has said since.
    """
    if feeds.fed is None:
        return []
    warehouse = feeds.fed.warehouse
    wrong = []
    for pool in feeds.pools.values():
        for seq, event in enumerate(pool.events, start=1):
            if not isinstance(event, LotReconciled):
                continue
            if warehouse.said(as_of=event.as_of) is None:
                wrong.append(f"{pool.name} is as of {event.as_of} at seq {seq}, as nobody has said")
                continue
            said = _figures(feeds.fed, pool, seq, as_of=event.as_of)
            has = event.orderable, event.applied
            if said == has or (_is_attaching(pool, seq) and _is_said_since(feeds.fed, pool, seq)):
                continue
            wrong.append(
                f"{pool.name} has {has[0]} and {has[1]} of {event.code} at seq"
                f" {seq}, and as of {event.as_of} the warehouse had {said[0]} and {said[1]}"
            )
    return wrong


def both_sides_agree_in_the_end(feeds: Feeds) -> list[str]:
    """When everything was told, done, said and heard, of each batch (row N10)."""
    fed = feeds.fed
    if fed is None or not fed.at_rest or feeds.feed is None or feeds.feed.state.status != "on":
        return []
    wrong = []
    for pool in feeds.pools.values():
        ours, sku = pool.model.feed.by_batch, sku_of(pool.actor_id)
        theirs = Counter(fed.warehouse.orderable(sku))
        theirs.update({c: units for (of, c), units in fed.applied.items() if of == pool.actor_id})
        agreed = {code: units for code, units in theirs.items() if units}
        if not pool.model.feed.feed and agreed:
            wrong.append(f"{pool.name} is not fed, and there are {agreed}")
        elif pool.model.feed.feed and ours != agreed:
            wrong.append(f"{pool.name} counts {ours}, and there are {agreed}")
    return wrong


def nothing_is_heard_after_what_is_newer(feeds: Feeds) -> list[str]:
    """What is reconciled of a batch is newer than all that its pool has heard of it before.

    Units appear in it only if nothing newer has changed any of them.
    """
    if feeds.fed is None:
        return []
    told: defaultdict[int, list[Told]] = defaultdict(list)
    for each in feeds.fed.told:
        told[each.pool].append(each)
    return [what for pool in feeds.pools.values() for what in _older(pool, told[pool.actor_id])]


def the_warehouse_is_told_what_happened_in_order(feeds: Feeds) -> list[str]:
    """What was told of a pool is, push by push, what it had become by some row (row N11).

    Each row is told once in effect, none is left out, and none comes before another.
    """
    fed = feeds.fed
    if fed is None:
        return []
    told: defaultdict[str, list[Push]] = defaultdict(list)
    wrong = [
        f"push {after.number} is told after push {before.number}"
        for before, after in pairwise(fed.warehouse.told)
        if after.number != before.number + 1
    ]
    for push in fed.warehouse.told:
        told[push.sku].append(push)
    is_on = feeds.feed is not None and feeds.feed.state.status == "on"
    in_full = fed.at_rest and is_on  # else, what is left is never told
    for pool in feeds.pools.values():
        wrong += _out_of_order(pool, told[sku_of(pool.actor_id)], in_full=in_full)
    return wrong


def the_warehouse_is_told_nothing_that_cannot_be(feeds: Feeds) -> list[str]:
    """It never ships or gives back what it did not have, and no push is another when repeated."""
    if feeds.fed is None:
        return []
    truth = feeds.fed.warehouse.truth
    return truth.mistakes + ([f"{truth.gaps} pushes were left out"] if truth.gaps else [])


def the_limit_of_the_warehouse_is_kept(feeds: Feeds) -> list[str]:
    """No worker asks more often than may be asked (row N3)."""
    if feeds.fed is None:
        return []
    by_worker: defaultdict[str, list[Request]] = defaultdict(list)
    for request in feeds.fed.warehouse.requests:
        by_worker[request.by].append(request)
    terms = feeds.fed.warehouse.terms
    wrong = []
    for worker, requests in by_worker.items():
        level, last_s = float(terms.burst), 0.0
        for request in requests:
            level = min(terms.burst, level + (request.at_s - last_s) * terms.rate_per_s)
            level, last_s = level - 1, request.at_s
            if level < -_SLACK:
                wrong.append(f"{worker} asks too often at {request.at_s:.3f} s")
                break
    return wrong


def a_feed_never_goes_back(feeds: Feeds) -> list[str]:
    """What is numbered, acknowledged and applied ascends, each no more than the one before."""
    standings = [] if feeds.fed is None else feeds.fed.standings
    wrong = [
        f"it has numbered {each.numbered}, and {each.acknowledged} are acknowledged"
        f" and {each.applied} applied"
        for each in standings
        if not each.applied <= each.acknowledged <= each.numbered
    ]
    for before, after in pairwise(standings):
        numbers = (before.numbered, before.acknowledged, before.applied, before.position)
        later = (after.numbered, after.acknowledged, after.applied, after.position)
        if any(new < old for old, new in zip(numbers, later, strict=True)):  # type: ignore[operator]
            wrong.append(f"it goes from {numbers} to {later}")
    if feeds.feed is not None:
        wrong += [
            f"run {after.number} is as of {after.as_of}, after {before.as_of}"
            for before, after in _runs(feeds.feed)
            if after.number > before.number and after.as_of < before.as_of
        ]
    return wrong


def _runs(feed: FeedEvidence) -> Iterator[tuple[Run, Run]]:
    """Yield runs, each with one before it that counts: who fails may have been heard by nobody."""
    for before, after in pairwise(feed.states):
        last = before.open_run or before.completed
        if last is not None and after.run is not None:
            yield last, after.run


def pools_are_let_go_of_when_a_feed_has_ended(feeds: Feeds) -> list[str]:
    """And nothing that was asked before is done to them afterwards."""
    if feeds.feed is None or feeds.feed.state.status != "ended":
        return []
    return [f"{pool.name} is still fed" for pool in feeds.pools.values() if pool.model.feed.feed]


def appearing(event: LotReconciled) -> int:
    """Return how many units appear; negative if they vanish."""
    return event.opened + sum(units for _, units in event.changes)


def _older(pool: PoolEvidence, told: Sequence[Told]) -> Iterator[str]:
    changed: dict[Code, int] = {}
    attached = 0
    for seq, event in enumerate(pool.events, start=1):
        if isinstance(event, FeedAttached):
            attached = seq
            changed.clear()
        if not isinstance(event, LotReconciled):
            continue
        heard = [
            each.as_of
            for each in told
            if attached <= each.before < seq and (each.codes is None or event.code in each.codes)
        ]
        if event.as_of < max(heard, default=0) or event.as_of <= changed.get(event.code, -1):
            yield f"{pool.name} has {event.code} be as of {event.as_of} at seq {seq}"
        if appearing(event) > 0 and event.as_of < max(changed.values(), default=0):
            yield f"{pool.name} has more as of {event.as_of} at seq {seq}"
        changed[event.code] = event.as_of


def _figures(fed: Fed, pool: PoolEvidence, seq: int, *, as_of: int) -> tuple[int, int]:
    """Return what the warehouse had of the batch of a row, and had applied, as of a moment."""
    event, view = pool.events[seq - 1], fed.warehouse.said(as_of=as_of)
    assert isinstance(event, LotReconciled), "it has figures"
    if view is None:
        return 0, 0
    sku, code = sku_of(pool.actor_id), event.code
    orderable = sum(one.orderable for one in view.items if (one.sku, one.batch) == (sku, code))
    base = next((sums for at, sums in reversed(pool.model.feed.bases) if at < seq), {})
    applied = told_of(fed, sku, code, through=view.applied_through)
    return orderable, applied - base.get(code, 0)


def _is_attaching(pool: PoolEvidence, seq: int) -> bool:
    """Say whether a row was decided together with the one that attached the pool."""
    before = seq - 1
    while before and isinstance(pool.events[before - 1], LotReconciled):
        before -= 1
    is_first = before > 0 and isinstance(pool.events[before - 1], FeedAttached)
    return is_first and pool.rows[before - 1].at_ms == pool.rows[seq - 1].at_ms


def _is_said_since(fed: Fed, pool: PoolEvidence, seq: int) -> bool:
    """Say whether a row has fewer units than there were, and as many as there were later."""
    event = pool.events[seq - 1]
    assert isinstance(event, LotReconciled), "it has figures"
    gross = event.orderable + event.applied
    later = range(event.as_of, fed.warehouse.truth.as_of + 1)
    moments = [sum(_figures(fed, pool, seq, as_of=each)) for each in later]
    return gross < moments[0] and gross in moments


def told_of(fed: Fed, sku: str, code: Code, *, through: int) -> int:
    """Return what the warehouse was told of a batch, all in all, up to some push."""
    return sum(
        line.decrease + line.aside
        for push in fed.warehouse.told
        if push.sku == sku and push.number <= through
        for line in push.lines
        if line.batch == code
    )


def _out_of_order(pool: PoolEvidence, pushes: Sequence[Push], *, in_full: bool) -> Iterator[str]:
    """Yield where pushes of a pool do not say what became of it, one row after the other."""
    model, index = pool.model.feed, 0
    committed, left = Counter[str | None](), Counter[str | None]()
    for push in pushes:
        for line in push.lines:
            committed[line.batch] += line.decrease + line.aside
            left[line.batch] += line.shipped
        wanted = _without_zeros(committed), _without_zeros(left)
        states = enumerate(zip(model.committed[index:], model.left[index:], strict=True), index)
        found = next((at for at, ((_, sums), gone) in states if (sums, gone) == wanted), None)
        if found is None:
            yield f"push {push.number} has {pool.name} be {wanted}, which it is not from then on"
            return
        index = found
    if in_full and model.committed:
        last = model.committed[-1][1], model.left[-1]
        if last != (told := (_without_zeros(committed), _without_zeros(left))):
            yield f"{pool.name} is {last}, and was told to be {told}"


def _without_zeros(sums: Counter[str | None]) -> Sums:
    return {code: units for code, units in sums.items() if units}
