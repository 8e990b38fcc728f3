"""Everything that is claimed about speed, in one run.

Question: how many durable orders a second does the allocator take on one product, beside an
    aiohttp handler that does nothing and beside what people write instead?
Load shape: 64 connections on the same machine as server and PostgreSQL. In each round every
    contender has one turn, in an order that rotates, with a fresh server on a fresh database;
    figures are medians over rounds, ratios are taken within rounds. After each turn the orders
    in the database have to be those that the clients saw.
Expected: see bench/targets.py; the second table says what was reached.
Non-goals: more workers than two, other machines' network, a PostgreSQL on another disk.

Run `python -m bench.run`, or `--smoke` for a small size, in memory, that proves only that it works.
"""

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable

import msgspec

from bench.arguments import at_least_one
from bench.bench_checkouts import checkouts_figures
from bench.bench_fed_orders import fed_orders_figure
from bench.bench_full_pool import full_pool_figures
from bench.bench_moves import moves_figures
from bench.bench_moving import moving_figures
from bench.bench_orders import orders_figures
from bench.bench_paced import paced_figure
from bench.bench_payments import payments_figure
from bench.bench_reconcile import reconcile_figures
from bench.bench_restart import restart_figure
from bench.bench_tickets import tickets_figure
from bench.bench_verify import verify_figures
from bench.bench_wms_limit import wms_limit_figure
from bench.bench_workers import forwarded_figure, roll_figure, worker_death_figure
from bench.chaos import prove_chaos
from bench.contenders import Contender, contenders
from bench.databases import open_databases, scratch_directory
from bench.errors import BenchError
from bench.event import prove_event
from bench.flash_sale import prove_flash_sale
from bench.processes import unwind_on_sigterm
from bench.ratios import Rounds, round_figures
from bench.report import contender_table, detail_lines, failure_lines, target_table
from bench.summary import json_line
from bench.targets import Figure
from bench.turns import Bench, Size, Turn, take_turn

CANONICAL = Size(
    name="canonical",
    rounds=5,
    seconds=4,
    warm_up_s=1,
    connections=64,
    paced_s=60,
    paced_per_second=1000,
    fill_orders=1_000_000,
    sale_units=10_000,
    sale_clients=300,
)
SMOKE = Size(
    name="smoke",
    rounds=1,
    seconds=1,
    warm_up_s=0,
    connections=16,
    paced_s=2,
    paced_per_second=200,
    fill_orders=10_000,
    sale_units=300,
    sale_clients=40,
)

_QUIET_LOAD_MAX = 0.5

FIGURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "tickets": lambda bench: [tickets_figure(bench)],
    "moves": moves_figures,
    "orders": orders_figures,
    "paced": lambda bench: [paced_figure(bench)],
    "full_pool": full_pool_figures,
    "verify": verify_figures,
    "moving": moving_figures,
    "payments": lambda bench: [payments_figure(bench)],
    "checkouts": checkouts_figures,
    "fed_orders": lambda bench: [fed_orders_figure(bench)],
    "reconcile": reconcile_figures,
    "wms_limit": lambda bench: [wms_limit_figure(bench)],
    "restart": lambda bench: [restart_figure(bench)],
    "flash_sale": prove_flash_sale,
    "forwarded": lambda bench: [forwarded_figure(bench)],
    "worker_death": lambda bench: [worker_death_figure(bench)],
    "roll": lambda bench: [roll_figure(bench)],
    "chaos": prove_chaos,
    "event": prove_event,
}
"""Measurements beside the rounds; each has servers of its own."""

GROUPS: dict[str, tuple[str, ...]] = {"wms": ("fed_orders", "reconcile", "wms_limit")}
"""Names for several of them."""


def run(bench: Bench, *, only: set[str]) -> None:
    """Measure, and print both tables and the line."""
    known = [one for one in contenders() if not only or one.name in only]
    rounds = Rounds(_take_turns(known, bench))
    figures = round_figures(rounds)
    for name, measure in FIGURES.items():
        if not only or name in only:
            bench.say(name)
            figures += measure(bench)
    if rounds.names:
        print(contender_table(known, rounds), end="\n\n")
        for one in known:
            if failure := rounds.first_failure(one.name):
                print(f"{one.title}: one failure was {failure}\n")
    print(target_table(figures), end="\n\n")
    print(detail_lines(figures), end="\n\n")
    if failures := failure_lines(figures):
        print(failures, end="\n\n")
    if bench.load_before > _QUIET_LOAD_MAX:
        print(f"The machine was busy before the run began (load {bench.load_before:.1f}).\n")
    if bench.size.name == SMOKE.name:
        print("The smoke size shows that everything runs; its figures mean nothing.\n")
    print(json_line(bench, rounds, figures))


def _take_turns(known: list[Contender], bench: Bench) -> list[Turn]:
    turns = []
    for number in range(bench.size.rounds):
        start = number % max(1, len(known))
        for contender in known[start:] + known[:start]:
            bench.say(f"round {number + 1} of {bench.size.rounds}: {contender.title}")
            turns.append(take_turn(contender, bench, number=number))
    return turns


def _arguments() -> argparse.Namespace:
    names = [*(one.name for one in contenders()), *FIGURES, *GROUPS]
    parser = argparse.ArgumentParser(description="measure the allocator beside the alternatives")
    parser.add_argument("--smoke", action="store_true", help="a small size in memory, for CI")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        choices=names,
        metavar="NAME",
        help="of " + ", ".join(names),
    )
    parser.add_argument(
        "--database-url",
        help="a PostgreSQL whose role may create databases, instead of an embedded one",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=at_least_one, help="instead of the size's own number")
    return parser.parse_args()


def _say(what: str, *, since: float) -> None:
    print(f"{time.monotonic() - since:6.1f} s  {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Run; exit with 1 when a server fails or a state is wrong, not when a target is missed."""
    chosen = _arguments()
    unwind_on_sigterm()
    size = SMOKE if chosen.smoke else CANONICAL
    if chosen.rounds is not None:
        size = msgspec.structs.replace(size, rounds=chosen.rounds)
    say = functools.partial(_say, since=time.monotonic())
    load_before = os.getloadavg()[0]
    try:
        with (
            open_databases(chosen.database_url, in_memory=chosen.smoke) as databases,
            scratch_directory(in_memory=chosen.smoke) as directory,
        ):
            bench = Bench(
                databases=databases,
                directory=directory,
                size=size,
                seed=chosen.seed,
                load_before=load_before,
                say=say,
            )
            run(bench, only={each for one in chosen.only for each in GROUPS.get(one, (one,))})
    except BenchError as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
