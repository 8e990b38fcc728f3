"""What an event prints: what visitors did, where the money and the units are, which claims hold."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.event_crowd import Tally
from bench.event_evidence import Evidence
from bench.event_faults import Blow
from bench.event_proof import CLAIMS

_NS_PER_S: Final = 1_000_000_000
_STATUSES: Final = ("paid", "failed", "unknown", "refund_due", "capturing")


def print_event(
    seen: Evidence, tally: Tally, struck: Mapping[Blow, int], *, console: Console
) -> bool:
    """Print all of it; return whether every claim holds."""
    _print_course(tally, struck, console=console)
    console.print(_money(seen))
    console.print(_units(seen))
    verdicts = {claim: claim(seen) for _, claim in CLAIMS}
    for rows, claim in CLAIMS:
        contradiction = verdicts[claim]
        mark = "[red] NO[/]" if contradiction else "yes"
        end = f": {escape(contradiction)}" if contradiction else ""
        name = claim.__name__.replace("_", " ")
        console.print(f"  {mark}  {rows:7}{name}{end}", highlight=False)
    return not any(verdicts.values())


def keep(seen: Evidence, *, log: Path, directory: Path) -> None:
    """Write down what an event leaves: histories, the journal, the ledger and the server's log."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(log, directory / "server.log")
    for name in ("history", "journal", "charges", "checkouts"):
        (directory / f"{name}.json").write_bytes(msgspec.json.encode(getattr(seen.facts, name)))


def _print_course(tally: Tally, struck: Mapping[Blow, int], *, console: Console) -> None:
    ends = ", ".join(f"{count} {how}" for how, count in tally.ends.most_common())
    console.print(
        f"{tally.requests} requests, of which {tally.unanswered} had no answer and {tally.later} "
        f"were told to come back; the longest time without an answer was "
        f"{tally.gap_ns / _NS_PER_S:.1f} s",
        highlight=False,
    )
    console.print(f"visitors: {ends}", highlight=False)
    console.print(
        "blows: " + ", ".join(f"{count} {blow.value}" for blow, count in struck.items()),
        highlight=False,
    )


def _money(seen: Evidence) -> Table:
    """Show attempts to pay beside what the provider took for them."""
    table = Table("attempts to pay", "all", "charged", "resolved by hand", "amount")
    attempts = seen.attempts()
    for status in _STATUSES:
        of_status = [each for each in attempts if each[2].status == status]
        charged = sum(
            any(charge.outcome == "paid" for charge in seen.charges_of[actor, seq])
            for actor, seq, _ in of_status
        )
        if of_status:
            table.add_row(
                status.replace("_", " "),
                str(len(of_status)),
                str(charged),
                str(sum(each.resolved for _, _, each in of_status)),
                f"{sum(each.amount for _, _, each in of_status) / 100:.2f}",
            )
    taken = [charge for charge in seen.facts.charges if charge.outcome == "paid"]
    table.add_section()
    table.add_row(
        "the provider's ledger",
        str(len(seen.facts.charges)),
        str(len(taken)),
        "",
        f"{sum(charge.amount for charge in taken):.2f}",
    )
    return table


def _units(seen: Evidence) -> Table:
    """Show where the units of the best-sellers are, and of all others together."""
    table = Table("units", "received", "available", "held", "ordered", "gone", "events")
    sums = [0] * 6
    for product, book in sorted(seen.books.items()):
        available, ordered, held, on_hand = book.numbers[-1]
        gone = book.received - on_hand
        cells = (book.received, available, held, ordered, gone, len(book.numbers) - 1)
        if product.startswith("best"):
            table.add_row(product, *map(str, cells))
        else:
            sums = [sum(pair) for pair in zip(sums, cells, strict=True)]
    table.add_row("all others", *map(str, sums))
    return table
