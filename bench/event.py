"""A 12.12 event: thousands fill carts and pay for a few best-sellers while everything is killed.

Question: with a provider that is slow, fails and falls silent, and a server whose workers are
    killed, exchanged, and once killed altogether: is each charge exactly one purchase or visibly
    unresolved, each unit sold once, nothing that was accepted lost, and every number told true?
Load shape: each visitor comes once, at a moment of their own: most with a cart of a few products,
    some with an order of one product or of several. They want three times what there is of the
    best-sellers. They give up, lose connections and ask again with the same Idempotency-Key.
    Afterwards an operator settles two thirds of what is unknown by the provider's ledger, and
    everything that was sold leaves.
Expected: every claim holds, always.
Non-goals: speed; though the longest time without an answer is shown.

Run `python -m bench.event --clients 3000 --seconds 45 --seed 1`. Exits with 1 when a claim does not
hold.
"""

import argparse
import contextlib
import functools
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from bench.arguments import at_least_one
from bench.chaos_server import suffering
from bench.databases import scratch_directory
from bench.errors import BenchError
from bench.event_course import Course, Event, EventError
from bench.event_crowd import Tally
from bench.event_evidence import Evidence
from bench.event_proof import holds
from bench.event_report import keep, print_event
from bench.processes import free_port, start, stop, unwind_on_sigterm, wait_listening, wait_ready
from bench.targets import Figure
from bench.turns import Bench

_SMOKE_CLIENTS, _SMOKE_SECONDS = 300, 6
_USUAL: Final = Event(seed=0)
_FAILS, _HANGS = 0.12, 0.03


def hold_event(
    event: Event, *, directory: Path, console: Console, database: str | None = None
) -> Evidence:
    """Hold an event in a directory, print what came of it, and return what is known.

    Args:
        event: How large it is.
        directory: For files, and for a PostgreSQL unless there is a `database`, by its URL.
        console: On which to print.
        database: Has to be empty.

    Raises:
        EventError: Visitors were left without an answer.
        ServerError: The server did not start, or not again.
        GatherError: Something did not come to its end afterwards.
    """
    console.print(
        f"seed {event.seed}: {event.clients} visitors within {event.seconds:.0f} s, "
        f"{event.workers} workers",
        highlight=False,
    )
    say = functools.partial(_say, console, since_s=time.monotonic())
    tally = Tally()
    with (
        _provider(event, log=directory / "provider.log") as url,
        suffering(
            directory,
            port=free_port(),
            workers=event.workers,
            settings=_settings(event, url),
            database=database,
        ) as victim,
    ):
        wait_ready(victim.child, port=victim.port, log=victim.log)
        course = Course(event, victim, ledger_url=url, tally=tally, say=say)
        seen = uvloop.run(course.hold())
        print_event(seen, tally, course.blows.struck, console=console)
        if event.kept is not None and not holds(seen):
            keep(seen, log=victim.log, directory=event.kept)
    return seen


def prove_event(bench: Bench) -> list[Figure]:
    """Hold an event as a part of a run; it has no figure, only claims.

    Raises:
        EventError: One of them does not hold.
    """
    event = Event(seed=bench.seed)
    if bench.size.name == "smoke":
        event = Event(seed=bench.seed, clients=_SMOKE_CLIENTS, seconds=_SMOKE_SECONDS)
    directory = bench.directory / "event"
    directory.mkdir()
    console = Console(stderr=True, soft_wrap=True)
    with bench.databases.fresh("bench_event") as url:
        seen = hold_event(event, directory=directory, console=console, database=url)
    if not holds(seen):
        raise EventError("not every claim held")
    return []


@contextlib.contextmanager
def _provider(event: Event, *, log: Path) -> Iterator[str]:
    """Have a provider of charges inside the block; yield its URL."""
    port = free_port()
    nature = ("--mean-s", str(event.mean_ms / 1000), "--seed", str(event.seed))
    rates = ("--fail-rate", str(_FAILS), "--hang-rate", str(_HANGS))
    child = start(("allocator", "payments-sim", "--port", str(port), *nature, *rates), log=log)
    try:
        wait_listening(child, port=port, log=log)
        yield f"http://127.0.0.1:{port}/charges"
    finally:
        stop(child)


def _settings(event: Event, provider_url: str) -> tuple[str, ...]:
    return (
        *("--payment-url", provider_url, "--payment-timeout-ms", str(event.timeout_ms)),
        *("--cart-ttl-ms", str(event.cart_ttl_ms), "--cart-cap-ms", str(10 * event.cart_ttl_ms)),
    )


def _say(console: Console, what: str, *, since_s: float) -> None:
    console.print(f"{time.monotonic() - since_s:7.2f} s  {what}", highlight=False, markup=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="hold a 12.12 event and prove what it sold")
    parser.add_argument("--seed", type=int, default=None, help="drawn and printed unless given")
    parser.add_argument("--clients", type=at_least_one, default=_USUAL.clients)
    parser.add_argument("--seconds", type=at_least_one, default=_USUAL.seconds)
    parser.add_argument("--workers", type=at_least_one, default=_USUAL.workers)
    parser.add_argument(
        "--mean-ms", type=at_least_one, default=_USUAL.mean_ms, help="of the provider's answers"
    )
    parser.add_argument(
        "--timeout-ms",
        type=at_least_one,
        default=_USUAL.timeout_ms,
        help="how long they are waited for",
    )
    parser.add_argument("--keep", type=Path, help="directory for the evidence, if a claim fails")
    return parser.parse_args()


def main() -> None:
    """Hold an event; exit with 1 when a claim about it does not hold."""
    chosen = _arguments()
    unwind_on_sigterm()
    event = Event(
        seed=random.randrange(1 << 32) if chosen.seed is None else chosen.seed,
        clients=chosen.clients,
        seconds=chosen.seconds,
        workers=chosen.workers,
        mean_ms=chosen.mean_ms,
        timeout_ms=chosen.timeout_ms,
        kept=chosen.keep,
    )
    try:
        with scratch_directory() as directory:
            seen = hold_event(event, directory=directory, console=Console(soft_wrap=True))
    except BenchError as error:
        sys.exit(f"event: {error}")
    sys.exit(0 if holds(seen) else 1)


if __name__ == "__main__":
    main()
