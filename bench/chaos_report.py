"""What a soak prints: what was done, how long nobody was served, and which claims hold."""

import shutil
from collections.abc import Sequence
from itertools import zip_longest
from math import inf
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.chaos_crowd import Tally
from bench.chaos_evidence import Evidence
from bench.chaos_faults import Fault, Inflicted
from bench.chaos_proof import CLAIMS, is_searched


class Verdicts:
    """What has come of each claim in all rounds.

    Attributes:
        contradictions: The first one of each claim that has any, by the claim in words.
        searched: Pools whose history was searched, of `pools`.
    """

    def __init__(self) -> None:
        self.contradictions: dict[str, str] = {}
        self.searched = 0
        self.pools = 0
        self.events = 0

    def judge(self, seen: Evidence) -> bool:
        """Hold every claim against the evidence of a round; return whether all of them hold."""
        for claim in CLAIMS:
            if contradiction := claim(seen):
                self.contradictions.setdefault(_in_words(claim.__name__), contradiction)
        self.pools += len(seen.pools)
        self.searched += sum(is_searched(pool) for pool in seen.pools)
        self.events += sum(len(pool.rows) for pool in seen.pools)
        return not self.contradictions

    def print(self, console: Console) -> None:
        """Print each claim with yes or no, and what contradicts it."""
        for claim in map(_in_words, (claim.__name__ for claim in CLAIMS)):
            contradiction = self.contradictions.get(claim)
            mark = "yes" if contradiction is None else "[red] NO[/]"
            end = "" if contradiction is None else f": {escape(contradiction)}"
            console.print(f"   {mark}  {claim}{end}", highlight=False)
        console.print(
            f"{self.events} events of {self.pools} pools, {self.searched} of them searched"
        )


def longest_gaps_s(
    inflicted: Sequence[Inflicted], gaps_ns: Sequence[tuple[int, int]]
) -> dict[Fault, float]:
    """Return the longest time without an answer after each kind of fault, seconds.

    It counts from the fault on and until the next one, which has to answer for the rest.
    """
    longest: dict[Fault, float] = {}
    in_order = sorted(inflicted, key=lambda each: each.at_ns)
    for each, following in zip_longest(in_order, in_order[1:]):
        until_ns = inf if following is None else following.at_ns
        lengths_ns = [
            min(end, until_ns) - max(begin, each.at_ns)
            for begin, end in gaps_ns
            if end > each.at_ns and begin < until_ns
        ]
        longest[each.fault] = max(longest.get(each.fault, 0.0), max(lengths_ns, default=0) / 1e9)
    return longest


def print_course(tally: Tally, inflicted: Sequence[Inflicted], *, console: Console) -> None:
    """Print what was asked, what came of it, and what the faults did."""
    asked = ", ".join(f"{count} {name}" for name, count in tally.attempts.most_common())
    came = ", ".join(f"{count} {name}" for name, count in tally.outcomes.most_common())
    console.print(f"{tally.attempts.total()} requests: {asked}")
    console.print(f"of which {tally.retries} repeated others; outcomes: {came}")
    table = Table("fault", "times", "no answer for", "pools back: median", "max")
    gaps = longest_gaps_s(inflicted, tally.gaps)
    for fault in gaps:
        of_kind = [each for each in inflicted if each.fault is fault]
        returns = [took for each in of_kind for took in each.returns_s]
        table.add_row(
            fault.value,
            str(len(of_kind)),
            f"{gaps[fault]:.2f} s",
            f"{median(returns):.2f} s" if returns else "",
            f"{max(returns):.2f} s" if returns else "",
        )
    console.print(table)


def keep(evidence: Evidence, *, log: Path, directory: Path) -> None:
    """Write down what a failed round leaves: histories, journals and the server's log."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(log, directory / "server.log")
    for pool in evidence.pools:
        kept = {"operations": pool.operations, "rows": pool.rows, "numbers": pool.numbers}
        (directory / f"{pool.product}.json").write_bytes(msgspec.json.encode(kept))


def _in_words(name: str) -> str:
    return name.replace("_", " ")
