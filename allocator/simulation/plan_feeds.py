"""A day on which one warehouse has a system of its own: what happens there, and who has it fed."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from msgspec.structs import replace

from allocator.domain.ids import SHARDS
from allocator.persistence.memory.trouble import End
from allocator.simulation.plan_places import Spot
from allocator.simulation.plan_troubles import WORKERS
from allocator.simulation.steps import (
    Arrive,
    Away,
    Bequeath,
    Break,
    Happening,
    Lose,
    Step,
    Trouble,
    Wish,
)
from allocator.simulation.wants import Feed, Look, Move, Want
from allocator.simulation.warehouse import Terms

_DAYS: Final = 1 / 8
"""On so many days there is one."""
_FEED: Final = 200
"""The number of the feed; pools have small ones."""
_POOLS: Final = (1, 2, 2, 3)
_POOLS_OF_HEIRS: Final = 5
_BATCHES: Final = ("A", "B", "B", "C", None)
_PUTS: Final = 3
"""It is put so often, in case that it was not heard."""
_DELETED: Final = 1 / 4
_AGAIN_MS: Final = 8_500
_ENDED_MS: Final = 7_000
"""A feed has ended so long after it was deleted, and can be put again."""
_TTL_MS: Final = (None, None, None, 2_500, 6_000)
_ARRIVALS: Final = (4, 10)
_LOSSES: Final = (0, 1, 3, 6)
_HEIRS: Final = 1 / 3
"""On so many of these days a feed's worker dies in the midst of what it says."""
_FIRST_HEIR_MS: Final = 1_200
_HEIR_MS: Final = 5_500
_SILENT_MS: Final = 4_600
_SWINGING: Final = 1 / 3
_SWING_MS: Final = 600
_AWAYS: Final = (0, 0, 1, 3)
_BREAKS: Final = (0, 3, 8, 20)


class Stocked(NamedTuple):
    """How the warehouse is fed, if one is, and what happens because of that.

    Attributes:
        troubles: What goes wrong, instead of anything else, on a day with heirs.
    """

    terms: Terms | None
    steps: Sequence[Step] = ()
    troubles: Sequence[Trouble] | None = None


class Stocking:
    """Draws what one day is like.

    Args:
        dice: Of this alone.
        spots: Some of these are of the warehouse; none of those that hold one product at a time.
        clients: How many there are.
        hours: When they want something, from and to, milliseconds.
    """

    def __init__(
        self, dice: Random, spots: Sequence[Spot], *, clients: int, hours: tuple[int, int]
    ) -> None:
        self._dice = dice
        self._spots = [spot.pool for spot in spots if not spot.single]
        self._clients = clients
        self._hours = hours

    def day(self) -> Stocked:
        """Draw one; on most days there is no such warehouse."""
        dice = self._dice
        if dice.random() >= _DAYS or not self._spots:
            return Stocked(None)
        has_heirs = dice.random() < _HEIRS
        wanted = _POOLS_OF_HEIRS if has_heirs else dice.choice(_POOLS)
        pools = tuple(sorted(dice.sample(self._spots, k=min(wanted, len(self._spots)))))
        friendly = dice.random() < 1 / 4
        terms = Terms(
            feed=_FEED << 8 | dice.randrange(SHARDS),
            pools=pools,
            batch_ms=dice.choice((200, 700, 2_000)),
            poll_ms=dice.choice((1_000, 1_000, 1_000, 2_500)),
            rate_per_s=dice.choice((2.0, 10.0, 50.0)),
            burst=dice.choice((1, 3, 10)),
            excludes=dice.choice(((), ("damaged",), ("damaged", "expired"))),
            stale=dice.random() < 1 / 3,
            swaps=0.0 if friendly else dice.choice((0.0, 0.0, 0.2)),
            lost=0.0 if friendly else dice.choice((0.0, 0.1, 0.3)),
            behind=0.0 if friendly else dice.choice((0.0, 0.5)),
            tells=dice.random() < 1 / 2,
            snapshot_ms=dice.choice((0, 0, 300, 1_100)),
        )
        steps: list[Step] = [self._arrive(pool, at_ms=0) for pool in pools for _ in range(2)]
        steps += [self._arrive(dice.choice(pools)) for _ in range(dice.choice(_ARRIVALS))]
        steps += [self._lose(dice.choice(pools)) for _ in range(dice.choice(_LOSSES))]
        if has_heirs:
            return self._heirs(terms, steps)
        if dice.random() < _SWINGING:
            steps += self._swings(pools)
        if not friendly:
            steps += [self._away() for _ in range(dice.choice(_AWAYS))]
            steps += [self._break() for _ in range(dice.choice(_BREAKS))]
        return Stocked(terms, [*steps, *self._wishes(terms)])

    def _heirs(self, terms: Terms, steps: list[Step]) -> Stocked:
        """Make a day on which what one worker has said lies before a silent line when it dies.

        Another says something newer meanwhile. Units come and go all the time.
        """
        terms = replace(
            terms,
            poll_ms=1_000,
            rate_per_s=50.0,
            burst=20,
            stale=False,
            lost=0.0,
            behind=0.0,
            tells=False,
            snapshot_ms=300,
        )
        troubles = [
            Bequeath(at_ms=at_ms, for_ms=_SILENT_MS)
            for at_ms in range(_FIRST_HEIR_MS, self._hours[1], _HEIR_MS)
        ]
        steps = [*steps, *self._swings(terms.pools), *self._wishes(terms)]
        return Stocked(terms, steps, troubles)

    def _swings(self, pools: Sequence[int]) -> Iterator[Step]:
        """Have units of a batch come and go all the time."""
        for pool in pools:
            for at_ms in range(_SWING_MS, self._hours[1], 2 * _SWING_MS):
                gone_ms = at_ms + _SWING_MS // 2 + self._dice.randrange(_SWING_MS)
                yield Arrive(at_ms=at_ms, pool=pool, batch="A", quantity=4)
                yield Lose(at_ms=gone_ms, pool=pool, batch="A", quantity=4)

    def around(self, steps: Sequence[Step], fed: Stocked) -> list[Step]:
        """Return everything that happens: nothing is moved to a warehouse that its system feeds."""
        pools = () if fed.terms is None else fed.terms.pools
        return [*(step for step in steps if not _moves_to(step, pools)), *fed.steps]

    def _wishes(self, terms: Terms) -> list[Step]:
        dice = self._dice
        first_ms = dice.choice((50, 50, 600))
        wishes = self._often(terms, Feed(what="put"), first_ms=first_ms)
        wishes += [self._wish(terms, Feed(what="poll")) for _ in range(3)]
        wishes += [self._wish(terms, Look(what="feed")) for _ in range(5)]
        if dice.random() < _DELETED:
            early_ms = dice.choice((dice.randrange(1_500), _AGAIN_MS))
            late_ms = max(first_ms, self._hours[1] - early_ms)
            wishes += self._often(terms, Feed(what="delete"), first_ms=late_ms)
            if late_ms + _ENDED_MS < self._hours[1]:
                wishes += self._often(terms, Feed(what="put"), first_ms=late_ms + _ENDED_MS)
        return wishes

    def _often(self, terms: Terms, want: Want, *, first_ms: int) -> list[Step]:
        """Want something again and again, in case that it was not heard."""
        return [self._wish(terms, want, at_ms=first_ms + 200 * n) for n in range(_PUTS)]

    def _wish(self, terms: Terms, want: Want, *, at_ms: int | None = None) -> Wish:
        dice = self._dice
        return Wish(
            at_ms=dice.randrange(*self._hours) if at_ms is None else at_ms,
            client=dice.randrange(self._clients),
            pool=terms.feed,
            want=want,
            attempts=12,
        )

    def _arrive(self, pool: int, *, at_ms: int | None = None) -> Happening:
        dice = self._dice
        return Arrive(
            at_ms=dice.randrange(self._hours[1]) if at_ms is None else at_ms,
            pool=pool,
            batch=dice.choice(_BATCHES),
            quantity=dice.randint(1, 12),
            ttl_ms=dice.choice(_TTL_MS),
        )

    def _lose(self, pool: int) -> Happening:
        dice = self._dice
        return Lose(
            at_ms=dice.randrange(self._hours[1]),
            pool=pool,
            batch=dice.choice(_BATCHES),
            quantity=dice.randint(1, 4),
        )

    def _away(self) -> Happening:
        dice = self._dice
        return Away(at_ms=dice.randrange(self._hours[1]), for_ms=dice.choice((100, 1_000, 4_000)))

    def _break(self) -> Trouble:
        dice = self._dice
        return Break(
            at_ms=dice.randrange(self._hours[1]),
            place=dice.randrange(WORKERS),
            operation="feeds",
            end=dice.choice([end for end in End if end is not End.ANSWERED]),
            times=dice.choice((1, 1, 4)),
        )


def _moves_to(step: Step, pools: Sequence[int]) -> bool:
    return isinstance(step, Wish) and isinstance(step.want, Move) and step.want.to in pools
