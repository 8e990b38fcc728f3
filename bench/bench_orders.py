"""What an order of several lines costs, beside one of a single line.

Question: how many orders of three lines a second are placed, all or nothing, over many products,
    and when everybody wants three of the same ten?
Load shape: 64 connections on one server and database; orders of one product, orders of three lines
    of any of 1,000 products, and of any of ten, by turns in each round. Afterwards the read models
    have to hold what the clients saw, and of every order a unit of each line has to be ordered.
Expected: a quarter of the orders of one line, each of which is one actor and one row.
Non-goals: orders over several workers, lines that are refused, dispatches in parts.
"""

from statistics import median

from bench.api import Api
from bench.client import hammer
from bench.contenders import serve_arguments, stock_products
from bench.load import Crowd, Load
from bench.mixes import LINES, Mix
from bench.processes import free_port, serving
from bench.targets import HOT_LINES_PER_S, LINES_PER_S, Figure
from bench.turns import Bench, check_sold, wait_caught_up

MIXES = (Mix.HOT, Mix.LINES, Mix.HOT_LINES)
SINGLE = "SELECT count(*) FROM orders WHERE status = 'new'"
PLACED = "SELECT count(*) FROM process_orders WHERE status = 'new'"
ORDERED = f"""
SELECT sum(balances.ordered)::bigint / {LINES}
FROM balances JOIN pools USING (actor_id) WHERE pools.product <> 'hot'
"""


def orders_figures(bench: Bench) -> list[Figure]:
    """Measure orders of several lines, and of one line beside them, round by round."""
    port = free_port()
    log = bench.directory / "orders.log"
    rounds: list[dict[Mix, Load]] = []
    with bench.databases.fresh("bench_orders") as url:
        with serving(serve_arguments(port, url), port=port, log=log), Api(port=port) as api:
            for mix in (Mix.HOT, Mix.LINES):
                stock_products(api, mix)
            for number in range(bench.size.rounds):
                start = number % len(MIXES)
                loads = {}
                for mix in MIXES[start:] + MIXES[:start]:
                    loads[mix] = _load(bench, mix, port=port, number=number)
                    wait_caught_up(api)
                rounds.append(loads)
        check_sold(url, (SINGLE,), loads=[each[Mix.HOT] for each in rounds])
        of_lines = [each[mix] for each in rounds for mix in (Mix.LINES, Mix.HOT_LINES)]
        placed = check_sold(url, (PLACED, ORDERED), loads=of_lines)
    return [
        _figure(LINES_PER_S, Mix.LINES, rounds=rounds, placed=placed),
        _figure(HOT_LINES_PER_S, Mix.HOT_LINES, rounds=rounds, placed=placed),
    ]


def _figure(name: str, mix: Mix, *, rounds: list[dict[Mix, Load]], placed: int) -> Figure:
    loads = [each[mix] for each in rounds]
    failed = sum(load.failed for load in loads)
    latencies = [load.latency for load in loads if load.latency is not None]
    return Figure(
        name=name,
        value=median(load.per_second for load in loads),
        spoiled=f"{failed} requests failed" if failed else "",
        failure=next((load.first_failure for load in loads if load.first_failure), ""),
        details={
            "lines_per_s": LINES * median(load.per_second for load in loads),
            "orders_per_s": median(each[Mix.HOT].per_second for each in rounds),
            "to_orders": median(each[mix].per_second / each[Mix.HOT].per_second for each in rounds),
            **({"p50_ms": median(each.p50_ms for each in latencies)} if latencies else {}),
            **({"p99_ms": median(each.p99_ms for each in latencies)} if latencies else {}),
            "placed": placed,
        },
    )


def _load(bench: Bench, mix: Mix, *, port: int, number: int) -> Load:
    """Have a crowd order for some seconds."""
    return hammer(
        Crowd(
            port=port,
            mix=mix,
            seed=bench.seed + number,
            connections=bench.size.connections,
            seconds=bench.size.seconds,
        )
    )
