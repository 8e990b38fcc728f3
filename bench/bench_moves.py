"""What a move from one location to another costs, beside an order.

Question: how many moves a second are done, each of them durable at both ends, between any two of
    many locations, and when everybody moves between the same two?
Load shape: 64 connections on one server and database; orders of one product, moves between any of
    500 and any of 500 locations that hold one product at a time, and moves between two of them, by
    turns in each round. Each answer says that the units have arrived. Afterwards the journal has to
    hold what the clients saw, and every unit that left has to have arrived.
Expected: a quarter of the orders: a move is three actors and ten rows.
Non-goals: moves of several lots, and between workers.
"""

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import msgspec

from bench.api import Api
from bench.client import hammer
from bench.contenders import PLACED, serve_arguments, stock_products
from bench.load import Crowd, Load
from bench.messages import HOT_PRODUCT, PLENTY_UNITS, WAREHOUSE, place_names
from bench.mixes import Mix
from bench.processes import free_port, serving
from bench.targets import HOT_MOVES_PER_S, MOVES_PER_S, Figure
from bench.turns import Bench, WrongStateError, check_sold, wait_caught_up

MIXES = (Mix.HOT, Mix.MOVES, Mix.HOT_MOVES)
DONE = "SELECT count(*) FROM journal WHERE kind = 'move_done'"
LEFT = "SELECT sum((body ->> 'quantity')::bigint)::bigint FROM journal WHERE kind = 'units_sent'"
ARRIVED = (
    "SELECT sum((body -> 'lot' ->> 'quantity')::bigint)::bigint "
    "FROM journal WHERE kind = 'units_taken'"
)

_PREPARERS = 8
_ENDED_WITHIN_S = 30.0
_POLL_S = 0.05


class Moves(msgspec.Struct):
    """A list of moves, of which a benchmark only wants to know whether it is empty."""

    items: list[msgspec.Raw]


def moves_figures(bench: Bench) -> list[Figure]:
    """Measure moves, and orders beside them, round by round."""
    port = free_port()
    log = bench.directory / "moves.log"
    rounds: list[dict[Mix, Load]] = []
    with bench.databases.fresh("bench_moves") as url:
        with serving(serve_arguments(port, url), port=port, log=log), Api(port=port) as api:
            stock_products(api, Mix.HOT)
            _open_locations(api)
            for number in range(bench.size.rounds):
                start = number % len(MIXES)
                loads = {
                    mix: _load(bench, mix, port=port, number=number)
                    for mix in MIXES[start:] + MIXES[:start]
                }
                rounds.append(loads)
                _wait_ended(api)
        orders = [each[Mix.HOT] for each in rounds]
        moves = [each[mix] for each in rounds for mix in (Mix.MOVES, Mix.HOT_MOVES)]
        check_sold(url, (PLACED,), loads=orders)
        moved = check_sold(url, (DONE, LEFT, ARRIVED), loads=moves)
    return [
        _figure(MOVES_PER_S, Mix.MOVES, rounds=rounds, moved=moved),
        _figure(HOT_MOVES_PER_S, Mix.HOT_MOVES, rounds=rounds, moved=moved),
    ]


def _figure(name: str, mix: Mix, *, rounds: list[dict[Mix, Load]], moved: int) -> Figure:
    loads = [each[mix] for each in rounds]
    failed = sum(load.failed for load in loads)
    latencies = [load.latency for load in loads if load.latency is not None]
    return Figure(
        name=name,
        value=median(load.per_second for load in loads),
        spoiled=f"{failed} requests failed" if failed else "",
        failure=next((load.first_failure for load in loads if load.first_failure), ""),
        details={
            "orders_per_s": median(each[Mix.HOT].per_second for each in rounds),
            "to_orders": median(each[mix].per_second / each[Mix.HOT].per_second for each in rounds),
            **({"p50_ms": median(each.p50_ms for each in latencies)} if latencies else {}),
            **({"p99_ms": median(each.p99_ms for each in latencies)} if latencies else {}),
            "moved": moved,
        },
    )


def _open_locations(api: Api) -> None:
    """Open all locations, and put into each source what no run can move out of it."""
    codes = place_names("from") + place_names("to")
    in_parts = [codes[part::_PREPARERS] for part in range(_PREPARERS)]
    with ThreadPoolExecutor(_PREPARERS) as preparers:
        # Taking the results raises what went wrong in a thread.
        list(preparers.map(functools.partial(_open_some, api), in_parts))


def _open_some(like: Api, codes: list[str]) -> None:
    sources = set(place_names("from"))
    with Api(port=like.port, headers=like.headers) as api:
        for code in codes:
            api.must("PUT", f"/locations/{code}", {"warehouse": WAREHOUSE})
            if code in sources:
                stock = {"product": HOT_PRODUCT, "warehouse": code, "quantity": PLENTY_UNITS}
                api.must("POST", "/stocks", stock)


def _load(bench: Bench, mix: Mix, *, port: int, number: int) -> Load:
    """Have a crowd order, or move, for some seconds."""
    return hammer(
        Crowd(
            port=port,
            mix=mix,
            seed=bench.seed + number,
            connections=bench.size.connections,
            seconds=bench.size.seconds,
        )
    )


def _wait_ended(api: Api) -> None:
    """Return when every move has ended, also of those whose clients left.

    Raises:
        WrongStateError: One has not.
    """
    deadline = time.monotonic() + _ENDED_WITHIN_S
    wait_caught_up(api)
    while api.get("/moves?status=in_transit&limit=1", Moves).items:
        if time.monotonic() > deadline:
            raise WrongStateError(f"a move was under way for {_ENDED_WITHIN_S:.0f} s")
        time.sleep(_POLL_S)
