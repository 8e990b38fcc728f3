"""Says whether a feed has come to rest: everything is told, done, said and heard."""

import asyncio
from typing import Final

import msgspec

from allocator.domain.codec import decode_event
from allocator.domain.feeds import Feed
from allocator.domain.kinds import evolve
from allocator.domain.reconciling import NotFed
from allocator.feeding.ports import Standing
from allocator.persistence.memory.feed_tables import FeedRow
from allocator.simulation.history import Fed
from allocator.simulation.installation import Installation

_LOOK_S: Final = 0.2
_STANDINGS_MAX: Final = 5_000


class Rest:
    """Looks at one feed from outside.

    Attributes:
        why_not: What is waited for.
    """

    def __init__(self, installation: Installation) -> None:
        assert installation.warehouse is not None, "it has a system of its own"
        assert installation.feeders is not None, "somebody asks it"
        self.why_not = ""
        self._warehouse = installation.warehouse
        self._feeders = installation.feeders
        self._database = installation.database
        self._feed = installation.warehouse.terms.feed
        self._pools = installation.warehouse.terms.pools
        self._standings: list[Standing] = []
        self._state = Feed()

    @property
    def is_barred(self) -> bool:
        """Whether a pool cannot be fed as long as a lot of its owes recalled units."""
        return NotFed.__name__ in (self._state.failure or "")

    async def watch(self) -> None:
        """Write down how far the feed has come, time and again; cancel to stop."""
        while len(self._standings) < _STANDINGS_MAX:
            row = self._database.feeds.rows.get(self._feed)
            if row is not None:
                self._standings.append(row.standing())
            await asyncio.sleep(_LOOK_S)

    def is_reached(self) -> bool:
        """Say whether there is nothing left to come."""
        row, state = self._database.feeds.rows.get(self._feed), self._read()
        if row is None or state.status is None:
            self.why_not = ""
        elif state.status == "on":
            self.why_not = self._why_not_even(row, state)
        else:
            self.why_not = "" if state.status == "ended" and not row.is_on else state.status
        return not self.why_not

    def evidence(self) -> Fed:
        """Return what is known of it."""
        at_rest = self.is_reached()
        row = self._database.feeds.rows.get(self._feed)
        applied: dict[tuple[int, str | None], int] = {}
        for actor_id, pool in {} if row is None else row.pools.items():
            for code, units in pool.applied.items():
                base = 0 if pool.account is None else pool.account.base.get(code, 0)
                applied[actor_id, code] = units - base
        return Fed(
            warehouse=self._warehouse,
            asked=self._feeders.asked,
            told=self._feeders.told,
            standings=self._standings,
            applied=applied,
            at_rest=at_rest and self._state.status is not None,
        )

    def _why_not_even(self, row: FeedRow, state: Feed) -> str:
        truth = self._warehouse.truth
        numbers = (row.numbered, row.acknowledged, row.applied, truth.applied_through)
        if len(set(numbers)) > 1:
            return f"of pushes {row.numbered}, acknowledged and applied are {numbers[1:]}"
        for pool in self._pools:
            newest = max(self._database.rows.get(pool, {0: None}))
            account = row.pools[pool].account
            if account is None and newest:
                return f"pool {pool:#x} was never told of"
            if account is not None and account.through < newest:
                return f"of pool {pool:#x} rows up to {account.through} of {newest} are told"
        run = state.completed
        if run is None or run.as_of < truth.as_of:
            heard = None if run is None else run.as_of
            return f"what is so as of {truth.as_of} was heard as of {heard}: {state.failure}"
        return ""

    def _read(self) -> Feed:
        """Return the state of the feed, as far as it is stored."""
        state = self._state
        for record in self._database.journal_of(self._feed, after_seq=state.version):
            event = decode_event(kind=record.kind, version=record.version, body=record.body)
            evolve(state, event, at_ms=record.at_ms)
        return msgspec.structs.replace(state)
