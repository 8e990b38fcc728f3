"""Laws of what processes hold of pools, and of orders of several lines.

Each returns what contradicts it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from allocator.domain.carts import CartEnded, LineHeld, LineRefused
from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.orders import LinesSettled, OrderAccepted, OrderDeclined
from allocator.domain.records import Record
from allocator.domain.transfers import ProcessLetGo
from allocator.domain.transit import RELEASES_KEPT_MS
from allocator.domain.values import units_of
from allocator.simulation.oracle_lead import LeadEvidence
from allocator.simulation.oracle_leads import Leads
from allocator.simulation.oracle_pool import Deed, PoolEvidence

_HEARD: Final = (OrderAccepted, OrderDeclined, LineHeld, LineRefused)
_SETTLED: Final = (LinesSettled, CartEnded)
_ANSWERS: Final[dict[type[object], tuple[type[object], ...]]] = {
    UnitsHeld: _HEARD,
    HoldRefused: _HEARD,
    HoldConfirmed: _SETTLED,
    ProcessLetGo: _SETTLED,
}
"""How a process says what a pool has done."""


class Done(NamedTuple):
    """What a pool did for a process."""

    pool: int
    seq: int
    event: Deed


class Holdings:
    """All processes that have pools hold units, and what these did for them.

    Attributes:
        leads: The processes.
        pools: By actor.
        deeds: By process and pool, in the order of the pool's journal.
    """

    def __init__(
        self, leads: Leads, pools: Sequence[PoolEvidence], commits: Sequence[tuple[int, Record]]
    ) -> None:
        self.leads = leads
        self.pools = {pool.actor_id: pool for pool in pools}
        self.deeds: defaultdict[tuple[int, int], list[Done]] = defaultdict(list)
        self._commits = commits
        for pool in pools:
            for seq, event in pool.deeds:
                if event.process in leads.by_actor:
                    done = Done(pool.actor_id, seq, event)
                    self.deeds[event.process, pool.actor_id].append(done)

    def sound(self) -> list[LeadEvidence]:
        """Return the processes whose journal can be read."""
        return [lead for lead in self.leads.by_actor.values() if not lead.unreadable]

    def by_pool(self, process: int) -> dict[int, list[Done]]:
        """Return what was done for a process."""
        return {pool: done for (of, pool), done in self.deeds.items() if of == process}

    def ms_between(self, one: Done, other: Done) -> int:
        """Return how long after one the other was done, by the time of their pool."""
        rows = self.pools[one.pool].rows
        return rows[other.seq - 1].at_ms - rows[one.seq - 1].at_ms

    def moments(self) -> dict[tuple[int, int], int]:
        """Return the transaction of each row."""
        return {(row.actor_id, row.seq): xid for xid, row in self._commits}


def a_process_is_begun_once(holdings: Holdings) -> list[str]:
    """However often a client asks, and whatever breaks, there is one process for it."""
    return holdings.leads.begun_more_than_once()


def every_process_settles(holdings: Holdings) -> list[str]:
    """When all trouble is over, every process knows what it asked for, and has told all pools."""
    return [
        f"{lead.name} is left {lead.state.status}, and waits for {what}"
        for lead in holdings.sound()
        if (what := lead.unsettled)
    ]


def nothing_is_held_for_who_has_let_go(holdings: Holdings) -> list[str]:
    """An ask that comes after its process has let go, or has its order, changes nothing.

    But to let go again is noted again, once a pool has forgotten of it: nobody is harmed.
    """
    return [
        f"process {process} had come to its end at {pool}, and then: seq {after.seq}, {after.event}"
        for (process, pool), done in holdings.deeds.items()
        for before, after in pairwise(done)
        if isinstance(before.event, ProcessLetGo | HoldConfirmed)
        and not (
            isinstance(after.event, ProcessLetGo)
            and holdings.ms_between(before, after) > RELEASES_KEPT_MS
        )
    ]


def an_order_is_all_or_nothing(holdings: Holdings) -> list[str]:
    """Every line of an accepted order is one of its pool, of just these units; else none is."""
    return [
        f"{lead.name}, {lead.state.status}, is to have {wanted} in its pools, and has {found}"
        for lead in holdings.sound()
        if (wanted := _promised(lead)) != (found := _confirmed(holdings, lead))
    ]


def pools_have_what_their_processes_say(holdings: Holdings) -> list[str]:
    """In the end pools hold, and have on order, what the processes believe, and nothing more."""
    wrong = []
    for lead in holdings.sound():
        for pool in {pool for process, pool in holdings.deeds if process == lead.actor_id}:
            model = holdings.pools[pool].model
            held = sorted(model.holds.picks.get(lead.actor_id, ()))
            left = sum(each.left for each in model.orders.values() if each.process == lead.actor_id)
            wanted = sorted(lead.held_at(pool)), lead.left_at(pool)
            if (held, left) != wanted:
                found = f"{held} held and {left} ordered"
                wrong.append(f"{pool} has {found}, and {lead.name} says {wanted}")
    return wrong


def no_step_is_stored_before_its_cause(holdings: Holdings) -> list[str]:
    """In the order of the tail, what a pool does stands behind the ask, and what is said of it."""
    moments = holdings.moments()
    return [
        f"{lead.name}: seq {effect} is stored before {cause}"
        for lead in holdings.sound()
        for cause, effect in _causes(holdings, lead)
        if cause in moments and effect in moments and moments[cause] > moments[effect]
    ]


def _promised(lead: LeadEvidence) -> dict[int, tuple[int, int]]:
    """Return, by pool, which order is to be there, and of how many units."""
    order = lead.order
    if order is None or not order.confirmed:
        return {}
    return {
        line.pool: (held.order, line.quantity)
        for line, held in zip(order.lines, order.held, strict=True)
        if units_of(held.picks) == line.quantity
    }


def _confirmed(holdings: Holdings, lead: LeadEvidence) -> dict[int, tuple[int, int]]:
    return {
        pool: (each.event.order, each.event.quantity)
        for pool, done in holdings.by_pool(lead.actor_id).items()
        for each in done
        if isinstance(each.event, HoldConfirmed)
    }


def _causes(
    holdings: Holdings, lead: LeadEvidence
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield what stands behind what, by (actor, seq)."""
    own = lead.actor_id
    for done in holdings.by_pool(own).values():
        for each in done:
            yield (own, each.event.step), (each.pool, each.seq)
            if isinstance(each.event, HoldConfirmed) and not each.event.held:
                yield (each.pool, each.seq), (own, each.event.step)  # at once is: together
            if (seq := _told_of(lead, each)) is not None:
                yield (each.pool, each.seq), (own, seq)


def _told_of(lead: LeadEvidence, done: Done) -> int | None:
    """Return the seq of the row in which a process says that a pool has done something."""
    step, answers = done.event.step, _ANSWERS.get(type(done.event), ())
    for seq, event in enumerate(lead.events[step:], start=step + 1):
        if isinstance(event, answers) and getattr(event, "edit", step) == step:
            return seq
    return None
