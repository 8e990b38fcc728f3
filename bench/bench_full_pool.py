"""What a million open orders cost: memory, replay, projection, and the latency of the next.

Question: how many bytes does an open order take; how fast do read models and memory take in a
    journal that they do not know; and does a pool with a million open orders answer as fast
    under full load as an empty one?
Load shape: one pool is filled through NDJSON batches with the projection held back. Then, on
    the same database: a start with the projection, a start after `kill -9` that has to replay
    every event, and crowds that take turns on the full pool and on a fresh server's empty one.
Expected: 100 bytes; 100,000 events/s projected, 500,000 replayed; p99 within a fifth of the
    empty pool's.
Non-goals: the snapshot, which normally spares a start the replay, is switched off here.
    Memory is the growth of the server's resident set, so it includes whatever else grew.
"""

import os
import time
from pathlib import Path
from statistics import median

from bench.api import Api
from bench.client import hammer
from bench.contenders import PLACED, serve_arguments, stock_products
from bench.load import Crowd, Load
from bench.messages import HOT_PRODUCT
from bench.mixes import Mix
from bench.ndjson import Batch, batch_load
from bench.processes import free_port, serving
from bench.targets import (
    FULL_POOL_P99,
    OPEN_ORDER_BYTES,
    PROJECTION_PER_S,
    REPLAY_PER_S,
    Figure,
)
from bench.turns import Bench, WrongStateError, check_sold, wait_caught_up

_FILL_WITHIN_S = 300.0
_NO_SNAPSHOTS = ("--snapshot-events", "100000000")
_HELD_BACK = ("--no-projection", *_NO_SNAPSHOTS)


def full_pool_figures(bench: Bench) -> list[Figure]:
    """Fill one pool, then take each measurement on what it left."""
    with bench.databases.fresh("bench_full") as url:
        memory, loads = _fill(bench, url)
        orders = check_sold(url, (PLACED,), loads=loads)
        return [
            memory,
            _replay(bench, url, orders=orders),
            _projection(bench, url),
            _latency(bench, url),
        ]


def _fill(bench: Bench, url: str) -> tuple[Figure, list[Load]]:
    """Open `fill_orders` orders in a fresh pool and see by how much the server grew."""
    port = free_port()
    arguments = serve_arguments(port, url, *_HELD_BACK)
    log = bench.directory / "full.log"
    with serving(arguments, port=port, log=log) as server, Api(port=port) as api:
        stock_products(api, Mix.HOT)
        # Buffers and code that any batch needs are not the orders' memory.
        first = batch_load(Batch(port=port, seconds=5, orders_max=bench.size.fill_orders // 10))
        before_bytes = _resident_bytes(server.pid)
        rest = batch_load(
            Batch(port=port, seconds=_FILL_WITHIN_S, orders_max=bench.size.fill_orders)
        )
        grown_bytes = _resident_bytes(server.pid) - before_bytes
        # Only a killed server leaves no snapshot behind.
        server.kill()
        server.wait()
    figure = Figure(
        name=OPEN_ORDER_BYTES,
        value=grown_bytes / rest.created,
        details={"orders": rest.created, "fill_per_second": rest.per_second},
    )
    return figure, [first, rest]


def _replay(bench: Bench, url: str, *, orders: int) -> Figure:
    """Time the first look at a pool that the server has to recover from the journal alone."""
    port = free_port()
    log = bench.directory / "replay.log"
    arguments = serve_arguments(port, url, *_HELD_BACK)
    with serving(arguments, port=port, log=log) as server, Api(port=port) as api:
        started = time.perf_counter()
        recovered = api.balance(HOT_PRODUCT)
        elapsed_s = time.perf_counter() - started
        server.kill()
        server.wait()
    if recovered.ordered != orders:
        raise WrongStateError(f"{recovered.ordered} orders were recovered of {orders}")
    return Figure(name=REPLAY_PER_S, value=orders / elapsed_s, details={"seconds": elapsed_s})


def _projection(bench: Bench, url: str) -> Figure:
    """Time the read models from when the server first says how far they are behind."""
    port = free_port()
    log = bench.directory / "projection.log"
    arguments = serve_arguments(port, url, *_NO_SNAPSHOTS)
    with serving(arguments, port=port, log=log), Api(port=port) as api:
        started = time.perf_counter()
        behind = api.projection_lag_events()
        wait_caught_up(api)
        elapsed_s = time.perf_counter() - started
    return Figure(
        name=PROJECTION_PER_S,
        value=behind / elapsed_s,
        spoiled="" if behind else "too few events to time",
        details={"events": behind, "seconds": elapsed_s},
    )


def _latency(bench: Bench, full_url: str) -> Figure:
    """Let crowds loose on the full pool and on empty ones, in turns."""
    port = free_port()
    log = bench.directory / "full.log"
    full: list[float] = []
    empty: list[float] = []
    with serving(serve_arguments(port, full_url), port=port, log=log), Api(port=port) as api:
        api.balance(HOT_PRODUCT)
        for number in range(bench.size.rounds):
            full.append(_p99_ms(bench, api, port=port))
            empty.append(_empty_p99_ms(bench, number=number))
    return Figure(
        name=FULL_POOL_P99,
        value=median(full) / median(empty),
        details={"full_p99_ms": median(full), "empty_p99_ms": median(empty)},
    )


def _empty_p99_ms(bench: Bench, *, number: int) -> float:
    port = free_port()
    log = bench.directory / "empty.log"
    with (
        bench.databases.fresh(f"bench_empty_{number}") as url,
        serving(serve_arguments(port, url), port=port, log=log),
        Api(port=port) as api,
    ):
        stock_products(api, Mix.HOT)
        return _p99_ms(bench, api, port=port)


def _p99_ms(bench: Bench, api: Api, *, port: int) -> float:
    load = hammer(
        Crowd(
            port=port,
            mix=Mix.HOT,
            seed=bench.seed,
            connections=bench.size.connections,
            seconds=bench.size.seconds,
        )
    )
    if load.failed or load.latency is None:
        raise WrongStateError(f"{load.failed} requests failed under full load")
    wait_caught_up(api)
    return load.latency.p99_ms


def _resident_bytes(pid: int) -> int:
    """Return the memory that a process holds in RAM (proc(5), statm's second field)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
