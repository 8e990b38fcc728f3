"""What several workers cost each other, and what they do for each other.

Questions: how much longer does an order take whose connection is held by another worker than
    the one that decides it? How long are a killed worker's products away? Does exchanging all
    workers lose a request?
Load shape: an open loop on products of both workers. Forwarded orders and others take turns on
    the same connections at the same time. Workers are killed by process id, the oldest first,
    each after the server is whole again. In the roll orders carry no key, so that one that was
    carried out and not answered shows: its repetition is an order too many.
Expected: 0.3 ms more; half a second away; none lost.
Non-goals: the throughput, which the contenders' table has.
"""

import asyncio
import itertools
import random
import signal
from collections.abc import Awaitable, Coroutine, Iterator
from statistics import median
from time import perf_counter_ns

import msgspec

from bench.api import Api
from bench.contenders import PLACED, PLACED_KEYS
from bench.holders import holders
from bench.load import NS_PER_S, Load
from bench.messages import PLENTY_UNITS, product_name
from bench.mixes import order_body, request_bytes
from bench.paced import Pace, precise_loop
from bench.processes import ServerError
from bench.steady import Judge, Order, SteadyLoad
from bench.targets import FORWARDED_EXTRA_MS, ROLL_LOST, WORKER_DEATH_S, Figure
from bench.turns import Bench, check_sold
from bench.watches import DeathWatch, ForwardWatch, RollWatch
from bench.workers import Workers, several_serving

_PRODUCTS = [product_name(number) for number in range(16)]
_FORWARDED_MAX_S = 10.0
_KILL_PER_SECOND = 400
_KILL_CONNECTIONS = 128
_RETURN_WITHIN_S = 30.0
_LOAD_MAX_S = 120.0
_STEADY_S = 0.5


def forwarded_figure(bench: Bench) -> Figure:
    """Measure what a forward adds to an order, at a steady pace."""
    with bench.databases.fresh("bench_forwarded") as url:
        with several_serving(url, log=bench.directory / "forwarded.log") as workers:
            _stock(workers.port)
            pace = Pace(
                port=workers.port,
                seed=bench.seed,
                per_second=bench.size.paced_per_second,
                seconds=min(bench.size.paced_s, _FORWARDED_MAX_S),
            )
            watch = ForwardWatch(workers.owners())
            load = _run(_watch_forwards(watch, workers, pace))
        check_sold(url, (PLACED,), loads=[load])
    return Figure(
        name=FORWARDED_EXTRA_MS,
        value=watch.forwarded.p50_ms - watch.direct.p50_ms,
        spoiled=f"{load.failed} requests failed" if load.failed else "",
        failure=load.first_failure,
        details={
            "per_second": load.per_second,
            "forwarded_share": watch.forwarded_share,
            "direct_p50_ms": watch.direct.p50_ms,
            "direct_p99_ms": watch.direct.p99_ms,
            "forwarded_p50_ms": watch.forwarded.p50_ms,
            "forwarded_p99_ms": watch.forwarded.p99_ms,
        },
    )


def worker_death_figure(bench: Bench) -> Figure:
    """Measure how long a killed worker's products are away, the worst of several kills."""
    kills = max(1, round(bench.size.seconds))
    with bench.databases.fresh("bench_worker_death") as url:
        with several_serving(url, log=bench.directory / "worker_death.log") as workers:
            _stock(workers.port)
            pace = Pace(
                port=workers.port,
                seed=bench.seed,
                per_second=_KILL_PER_SECOND,
                seconds=_LOAD_MAX_S,
                connections=_KILL_CONNECTIONS,
            )
            away_s: list[float] = []
            load = _run(_kill_in_turn(workers, pace, kills=kills, away_s=away_s))
        sold = check_sold(url, (PLACED, PLACED_KEYS), loads=[load])
    return Figure(
        name=WORKER_DEATH_S,
        value=max(away_s),
        spoiled=f"{load.failed} requests failed" if load.failed else "",
        failure=load.first_failure,
        details={
            "kills": kills,
            "median_s": median(away_s),
            "max_s": max(away_s),
            "seen": load.created,
            "sold": sold,
        },
    )


def roll_figure(bench: Bench) -> Figure:
    """Count what is lost while all workers are exchanged under a steady load."""
    with bench.databases.fresh("bench_roll") as url:
        with several_serving(url, log=bench.directory / "roll.log") as workers:
            _stock(workers.port)
            pace = Pace(
                port=workers.port,
                seed=bench.seed,
                per_second=bench.size.paced_per_second,
                seconds=_LOAD_MAX_S,
            )
            watch = RollWatch()
            load = _run(_roll(workers, pace, watch))
        # A failed request may have been carried out; any other was, and once.
        possible = msgspec.structs.replace(load, unread_max=load.failed)
        sold = check_sold(url, (PLACED,), loads=[possible])
    return Figure(
        name=ROLL_LOST,
        value=load.failed,
        failure=load.first_failure,
        details={
            "per_second": load.per_second,
            "roll_s": watch.roll_s,
            "repeated": watch.repeated,
            "seen": load.created,
            "sold": sold,
        },
    )


async def _watch_forwards(watch: ForwardWatch, workers: Workers, pace: Pace) -> Load:
    load = SteadyLoad(pace, _orders(pace.seed), judge=watch.judge)
    clients = await load.open()
    pids = [each.pid for each in workers.alive()]
    watch.holders = await asyncio.to_thread(holders, port=pace.port, clients=clients, pids=pids)
    return await load.run()


async def _kill_in_turn(workers: Workers, pace: Pace, *, kills: int, away_s: list[float]) -> Load:
    """Kill the oldest worker so often; put down how long its products were away each time."""
    watch = DeathWatch()

    async def course() -> None:
        for _ in range(kills):
            await asyncio.to_thread(workers.wait_whole)
            away_s.append(await _kill_oldest(workers, watch))

    return await _loaded(pace, _orders(pace.seed, keyed=True), watch.judge, course())


async def _kill_oldest(workers: Workers, watch: DeathWatch) -> float:
    """Return the seconds until all of its products took orders again.

    Raises:
        ServerError: It would not die, or not all of them did within 30 s.
    """
    victim = workers.alive()[0]
    owners = await asyncio.to_thread(workers.owners)
    lost = {product for product, pid in owners.items() if pid == victim.pid}
    if not lost:
        raise ServerError(f"worker {victim.pid} owns no product: its death says nothing")
    killed_ns = await asyncio.to_thread(workers.kill, victim)
    try:
        async with asyncio.timeout(_RETURN_WITHIN_S):
            back_ns = await watch.return_of(lost)
    except TimeoutError as error:
        raise ServerError(f"products of worker {victim.pid} did not return") from error
    return (back_ns - killed_ns) / NS_PER_S


async def _roll(workers: Workers, pace: Pace, watch: RollWatch) -> Load:
    async def course() -> None:
        await asyncio.sleep(_STEADY_S)
        former = workers.alive()
        began_ns = perf_counter_ns()
        workers.supervisor.send_signal(signal.SIGHUP)
        await asyncio.to_thread(workers.wait_whole, without=former)
        watch.roll_s = (perf_counter_ns() - began_ns) / NS_PER_S
        await asyncio.sleep(_STEADY_S)

    return await _loaded(pace, _orders(pace.seed), watch.judge, course())


async def _loaded(
    pace: Pace, orders: Iterator[Order], judge: Judge, course: Awaitable[None]
) -> Load:
    """Load a server for as long as something takes its course."""
    load = SteadyLoad(pace, orders, judge=judge)
    await load.open()
    loading = asyncio.create_task(load.run())
    try:
        await course
    finally:
        load.stop()
    return await loading


def _run(loading: Coroutine[None, None, Load]) -> Load:
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(loading)


def _stock(port: int) -> None:
    with Api(port=port) as api:
        api.open_warehouse()
        for product in _PRODUCTS:
            api.stock(product, quantity=PLENTY_UNITS)


def _orders(seed: int, *, keyed: bool = False) -> Iterator[Order]:
    """Yield orders for one unit without end, of products that equal seeds draw equally."""
    dice = random.Random(seed)
    for number in itertools.count():
        product = dice.choice(_PRODUCTS)
        key = f"{seed}-{number}" if keyed else None
        request = request_bytes("/orders", order_body(product), key=key)
        yield Order(product=product, request=request)
