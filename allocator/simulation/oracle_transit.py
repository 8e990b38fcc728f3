"""Laws of moves and of what pools did for them. Each returns what contradicts it."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from allocator.domain.adjustments import UnitsAdjusted
from allocator.domain.messages import OrderDispatched, OrderPartlyDispatched, StockReceived
from allocator.domain.moves import (
    MoveDone,
    MoveEnded,
    MoveEvent,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
)
from allocator.domain.reconciling import LotReconciled
from allocator.domain.records import Record
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transfer,
    Transit,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.transit import RELEASES_KEPT_MS
from allocator.domain.transit_rules import why_not_sent
from allocator.domain.values import units_of
from allocator.simulation.oracle_moves import MoveEvidence, Moves
from allocator.simulation.oracle_pool import PoolEvidence


class Deed(NamedTuple):
    """What a pool did for a process."""

    pool: int
    seq: int
    event: Transit


class Journey:
    """A move and what was done for it; or what was done for a process of which there is nothing.

    Attributes:
        deeds: By pool, in the order of its journal.
    """

    def __init__(self, process: int, move: MoveEvidence | None) -> None:
        self.process = process
        self.move = move
        self.deeds: defaultdict[int, list[Deed]] = defaultdict(list)

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"move {self.process}"

    def of(self, kind: type[Transit]) -> list[Deed]:
        """Return the deeds of a kind."""
        return [each for deeds in self.deeds.values() for each in deeds if type(each.event) is kind]

    @property
    def sent(self) -> list[Transfer]:
        """Everything that ever left."""
        return [lot for _, _, event in self.of(UnitsSent) for lot in event.lots]  # type: ignore[union-attr]

    @property
    def taken(self) -> list[Transfer]:
        """Everything that ever arrived."""
        return [event.lot for _, _, event in self.of(UnitsTaken)]  # type: ignore[union-attr]


class Transits:
    """Everything that has to do with moves, over all pools.

    Attributes:
        moves: As their processes have it.
        pools: By actor.
        journeys: By process.
        commits: All rows with their transactions, in the order of the tail.

    Args:
        leads: Other processes, for which pools do other things.
    """

    name = "moves"

    def __init__(
        self,
        moves: Moves,
        pools: Sequence[PoolEvidence],
        commits: Sequence[tuple[int, Record]],
        *,
        leads: Container[int] = (),
    ) -> None:
        self.moves = moves
        self.pools = {pool.actor_id: pool for pool in pools}
        self.journeys = {each: Journey(each, move) for each, move in moves.by_actor.items()}
        self.commits = commits
        for pool in pools:
            for seq, event in pool.deeds:
                if event.process in leads or not isinstance(event, Transit):
                    continue
                journey = self.journeys.setdefault(event.process, Journey(event.process, None))
                journey.deeds[pool.actor_id].append(Deed(pool.actor_id, seq, event))

    def ms_between(self, one: Deed, other: Deed) -> int:
        """Return how long after one the other was done, by the time of their pool."""
        rows = self.pools[one.pool].rows
        return rows[other.seq - 1].at_ms - rows[one.seq - 1].at_ms

    def transactions(self) -> dict[tuple[int, int], int]:
        """Return the transaction of each row."""
        return {(row.actor_id, row.seq): xid for xid, row in self.commits}


def a_move_is_begun_once(transits: Transits) -> list[str]:
    """However often a client asks, and whatever breaks, there is one process for it."""
    return transits.moves.begun_more_than_once()


def every_move_ends(transits: Transits) -> list[str]:
    """When all trouble is over, every process is done or refused, and no pool waits for it."""
    wrong = [
        f"{move.name} is left {move.state.stage}"
        for move in transits.moves.by_actor.values()
        if not move.state.ended
    ]
    wrong += [
        f"{journey.name} was never let go of by {pool}"
        for journey in transits.journeys.values()
        for pool, deeds in journey.deeds.items()
        if not any(isinstance(event, ProcessLetGo) for _, _, event in deeds)
    ]
    return wrong + [
        f"pool {pool.actor_id} still expects what {expecting} will bring"
        for pool in transits.pools.values()
        if (expecting := pool.model.occupancy.expecting)
    ]


def nothing_is_done_for_who_has_let_go(transits: Transits) -> list[str]:
    """An ask that comes after its process has let go changes nothing.

    But to let go again is noted again, once a pool has forgotten of it: nobody is harmed.
    """
    return [
        f"{journey.name} has let go of {pool}, and then: seq {after.seq}, {after.event}"
        for journey in transits.journeys.values()
        for pool, deeds in journey.deeds.items()
        for before, after in pairwise(deeds)
        if isinstance(before.event, ProcessLetGo)
        and not (
            isinstance(after.event, ProcessLetGo)
            and transits.ms_between(before, after) > RELEASES_KEPT_MS
        )
    ]


def a_move_brings_what_it_has_taken(transits: Transits) -> list[str]:
    """What was asked for leaves once and arrives once, lot by lot; refused, nothing does."""
    return [
        f"{journey.name} {wrong}"
        for journey in transits.journeys.values()
        if (wrong := _unlike(journey))
    ]


def nothing_is_asked_before_it_is_stored(transits: Transits) -> list[str]:
    """In the order of the tail, each step stands behind what justifies it."""
    xids = transits.transactions()
    return [
        f"{journey.name}: {later} of {later_at} is stored before {earlier} of {earlier_at}"
        for journey in transits.journeys.values()
        if journey.move is not None
        for (earlier, earlier_at), (later, later_at) in _causes(journey, journey.move)
        if xids[earlier_at] > xids[later_at]
    ]


def units_are_on_hand_or_on_their_way(transits: Transits) -> list[str]:
    """After every transaction, in the order of the tail: none is made, lost or doubled.

    On hand and in transit are together what came from outside and was not dispatched, and what is
    in transit was sent before.
    """
    units = _Units(transits.pools)
    for xid, rows in groupby(transits.commits, key=itemgetter(0)):
        for _, row in rows:
            units.add(row)
        if wrong := units.wrong():
            return [f"after transaction {xid} {wrong}"]
    return [
        f"{quantity} units of move {process} never arrived"
        for process, quantity in units.in_transit.items()
        if quantity
    ]


def no_place_holds_two_products(pool: PoolEvidence) -> list[str]:
    """A location is of one product as long as anything of it is there or expected."""
    return pool.model.occupancy.mixed


class _Units:
    """All units of an installation, row by row.

    Attributes:
        in_transit: By process, what was sent and not taken in.
    """

    def __init__(self, pools: Mapping[int, PoolEvidence]) -> None:
        self.in_transit: Counter[int] = Counter()
        self._pools = pools
        self._versions: Counter[int] = Counter()
        self._from_outside = self._on_hand = 0
        self._gap = ""

    def add(self, row: Record) -> None:
        """Enter the next row; one of a process has no units."""
        pool = self._pools.get(row.actor_id)
        if pool is None:
            return
        seq, before = row.seq, self._versions[row.actor_id]
        self._versions[row.actor_id] = seq
        if seq != before + 1:
            self._gap = self._gap or f"seq {seq} of {pool.name} stands behind seq {before}"
        self._on_hand += sum(pool.model.numbers[seq]) - sum(pool.model.numbers[seq - 1])
        self._from_outside -= pool.model.missed.get(seq, 0)
        match pool.events[seq - 1]:
            case StockReceived(quantity=quantity):
                self._from_outside += quantity
            case OrderDispatched(quantity=quantity) | OrderPartlyDispatched(quantity=quantity):
                self._from_outside -= quantity
            case UnitsAdjusted(changes=changes):
                for _, source, target, units in changes:
                    self._from_outside += units * ((source is None) - (target is None))
            case LotReconciled(opened=opened, changes=changes, expired=gone):
                self._from_outside += opened + units_of(changes) - units_of(gone)
            case UnitsSent(process=process, quantity=quantity):
                self.in_transit[process] += quantity
            case UnitsTaken(process=process, lot=lot):
                self.in_transit[process] -= lot.quantity
            case _:
                pass

    def wrong(self) -> str:
        """Say what cannot be, or nothing."""
        if self._gap:
            return self._gap
        for process, quantity in self.in_transit.items():
            if quantity < 0:
                return f"more of move {process} has arrived than has left"
        in_transit = self.in_transit.total()
        if self._on_hand + in_transit != self._from_outside:
            return f"{self._on_hand} on hand and {in_transit} in transit are not all"
        return ""


def _unlike(journey: Journey) -> str:
    """Say in what the places did something else than the move says, or nothing."""
    move = journey.move
    request = None if move is None else move.request
    if move is None or request is None:
        return "is none, but something was done for it"
    if strangers := journey.deeds.keys() - {request.source, request.destination}:
        return f"was served by {sorted(strangers)}"
    departures, arrivals = journey.of(UnitsSent), journey.of(UnitsTaken)
    if move.state.stage == "refused" and (departures or arrivals):
        return f"was refused, and yet: {departures or arrivals}"
    refusals = [_reason(each.event) for each in journey.of(SendRefused)]
    if len(departures) + len(refusals) > 1 or len(journey.of(ProductExpected)) > 1:
        return f"had a step done twice: {dict(journey.deeds)}"
    if refusals and move.state.reason not in {None, *refusals}:
        return f"was refused for {move.state.reason}, and its source said {refusals}"
    return _unlike_lots(journey, move)


def _unlike_lots(journey: Journey, move: MoveEvidence) -> str:
    """Say what is wrong with what left and what arrived, or nothing."""
    sent, taken, told = journey.sent, journey.taken, list(move.state.lots)
    request = move.request
    assert request is not None
    if told and told != sent:
        return f"says that {told} left, and it was {sent}"
    if sent and sum(lot.quantity for lot in sent) != request.quantity:
        return f"is to move {request.quantity} units, and {sent} left"
    if any(lot.origin[0] != request.source for lot in sent):
        return f"took {sent} from elsewhere"
    if taken != sent[: len(taken)]:
        return f"brought {taken}, and had taken {sent}"
    if move.state.stage == "done" and taken != sent:
        return f"is done, and brought {taken} of {sent}"
    return ""


def _reason(event: Transit) -> object:
    assert isinstance(event, SendRefused)
    return why_not_sent(requested=event.requested, available=event.available, lots=event.lots)


def _causes(
    journey: Journey, move: MoveEvidence
) -> Iterator[tuple[tuple[str, tuple[int, int]], tuple[str, tuple[int, int]]]]:
    """Yield what stands behind what, each with its address."""
    own = {type(event): seq for seq, event in enumerate(move.events, start=1)}
    for deeds in journey.deeds.values():
        for deed in deeds:
            kind = type(deed.event)
            there = (kind.__name__, (deed.pool, deed.seq))
            for cause in _BEFORE[kind]:
                if cause in own:
                    yield (cause.__name__, (journey.process, own[cause])), there
            for effect in _AFTER[kind]:
                if effect in own:
                    yield there, (effect.__name__, (journey.process, own[effect]))


_BEFORE: dict[type[Transit], tuple[type[MoveEvent], ...]] = {
    ProductExpected: (MoveRequested,),
    UnitsSent: (MoveRequested, MoveExpected),
    SendRefused: (MoveRequested, MoveExpected),
    UnitsTaken: (MoveSent,),
    ProcessLetGo: (MoveDone, MoveRefused),
}
_AFTER: dict[type[Transit], tuple[type[MoveEvent], ...]] = {
    ProductExpected: (MoveExpected,),
    UnitsSent: (MoveSent,),
    SendRefused: (MoveRefused,),
    UnitsTaken: (MoveDone,),
    ProcessLetGo: (MoveEnded,),
}
