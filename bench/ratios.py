"""From turns to figures: medians over rounds, ratios within a round."""

from statistics import median

from bench import contenders as who
from bench.forwards import ForwardedLoad
from bench.latency import Percentiles
from bench.targets import (
    BATCH_PER_S,
    BEARING_TO_HOT,
    CATCH_UP_MAX_S,
    HELD_BACK_TO_FLOOR,
    HOT_TO_FLOOR,
    HOT_TO_ROWLOCK,
    KEYED_TO_HOT,
    TWO_WORKERS_TO_ONE,
    Figure,
)
from bench.turns import Turn

ROWLOCKS = (who.ROWLOCK_UPDATE, who.ROWLOCK_FOR_UPDATE)


class Rounds:
    """All turns of a run, by contender and round."""

    def __init__(self, turns: list[Turn]) -> None:
        self._turns = {(turn.contender, turn.round): turn for turn in turns}
        self._numbers = sorted({turn.round for turn in turns})

    @property
    def names(self) -> list[str]:
        """The contenders that had a turn, in the order of their first."""
        return list(dict.fromkeys(contender for contender, _ in self._turns))

    def of(self, contender: str) -> list[Turn]:
        """Return a contender's turns, in the order of the rounds; empty if it had none."""
        wanted = ((contender, number) for number in self._numbers)
        return [self._turns[key] for key in wanted if key in self._turns]

    def per_second(self, contender: str) -> float:
        """Return the median of created orders a second."""
        return median(turn.load.per_second for turn in self.of(contender))

    def latency(self, contender: str) -> Percentiles | None:
        """Return the median over rounds of each percentile; None if none was measured."""
        rounds = [turn.load.latency for turn in self.of(contender) if turn.load.latency]
        if not rounds:
            return None
        return Percentiles(
            p50_ms=median(each.p50_ms for each in rounds),
            p99_ms=median(each.p99_ms for each in rounds),
            p999_ms=median(each.p999_ms for each in rounds),
            max_ms=max(each.max_ms for each in rounds),
        )

    def ratio(self, contender: str, *base: str) -> float | None:
        """Return the median over rounds of `contender` ÷ the best of `base` in that round.

        The machine's mood changes from minute to minute and strikes all of a round alike, so
        ratios are taken within each round. None if one of them was not measured.
        """
        ratios = [
            turn.load.per_second / best
            for turn in self.of(contender)
            if (best := self._best(base, number=turn.round))
        ]
        return median(ratios) if ratios else None

    def catch_up_max_s(self, contender: str) -> float:
        """Return the longest time that the read models needed after a turn."""
        return max(turn.catch_up_s or 0.0 for turn in self.of(contender))

    def failed(self, contender: str) -> int:
        """Return how many requests failed in all turns."""
        return sum(turn.load.failed for turn in self.of(contender))

    def first_failure(self, contender: str) -> str:
        """Return what a client knows of a failed request; empty if it knows nothing."""
        return next((each for turn in self.of(contender) if (each := turn.load.first_failure)), "")

    def forwarded_share(self, contender: str) -> float | None:
        """Return the median share of requests that were forwarded; None if nobody counted."""
        loads = (turn.load for turn in self.of(contender))
        shares = [load.forwarded_share for load in loads if isinstance(load, ForwardedLoad)]
        return median(shares) if shares else None

    def busiest_share(self, contender: str) -> float | None:
        """Return the largest share of connections that one worker held; None if nobody looked."""
        loads = (turn.load for turn in self.of(contender))
        shares = [load.busiest_share for load in loads if isinstance(load, ForwardedLoad)]
        return max(shares, default=None)

    def _best(self, names: tuple[str, ...], *, number: int) -> float:
        turns = (self._turns.get((name, number)) for name in names)
        return max((turn.load.per_second for turn in turns if turn), default=0.0)


def round_figures(rounds: Rounds) -> list[Figure]:
    """Return the figures that follow from the interleaved turns."""
    ratios = {
        HOT_TO_FLOOR: (who.HOT, who.FLOOR),
        HELD_BACK_TO_FLOOR: (who.HELD_BACK, who.FLOOR),
        HOT_TO_ROWLOCK: (who.HOT, *ROWLOCKS),
        KEYED_TO_HOT: (who.KEYED, who.HOT),
        BEARING_TO_HOT: (who.BEARING, who.HOT),
        TWO_WORKERS_TO_ONE: (who.SPREAD_TWO, who.SPREAD),
    }
    figures = []
    for name, (contender, *base) in ratios.items():
        value = rounds.ratio(contender, *base)
        if value is not None:
            spoiled = _spoiled(rounds, contender)
            details = _forwarding(rounds) if name == TWO_WORKERS_TO_ONE else {}
            figures.append(Figure(name=name, value=value, spoiled=spoiled, details=details))
    if rounds.of(who.BATCH):
        value = rounds.per_second(who.BATCH)
        spoiled = _spoiled(rounds, who.BATCH, catches_up=False)
        figures.append(Figure(name=BATCH_PER_S, value=value, spoiled=spoiled))
    return figures


def _forwarding(rounds: Rounds) -> dict[str, float]:
    """Return how much was forwarded, and what became of the same ratio on one product."""
    known = {
        "forwarded_share": rounds.forwarded_share(who.SPREAD_TWO),
        "busiest_worker_connections_max": rounds.busiest_share(who.SPREAD_TWO),
        "one_product": rounds.ratio(who.HOT_TWO, who.HOT),
        "one_product_forwarded_share": rounds.forwarded_share(who.HOT_TWO),
        "one_product_busiest_worker_connections_max": rounds.busiest_share(who.HOT_TWO),
    }
    return {name: value for name, value in known.items() if value is not None}


def _spoiled(rounds: Rounds, contender: str, *, catches_up: bool = True) -> str:
    if failed := rounds.failed(contender):
        return f"{failed} requests failed"
    catch_up_s = rounds.catch_up_max_s(contender)
    if catches_up and catch_up_s > CATCH_UP_MAX_S:
        return f"read models caught up after {catch_up_s:.1f} s"
    return ""
