"""How long an order takes when the server is not full.

Question: what are p50, p99 and p99.9 of a durable order at a steady 1,000 orders a second?
Load shape: an open loop on one product, `paced_s` long, latencies from when each was due.
Expected: p99 below 4 ms, no failure. One append is in flight at a time, so an order waits for
    the rest of one commit and for its own.
Non-goals: the throughput; the crowd's latencies under full load are in the contenders' table.
"""

from bench.api import Api
from bench.contenders import PLACED, serve_arguments, stock_products
from bench.mixes import Mix
from bench.paced import Pace, paced_load
from bench.processes import free_port, serving
from bench.targets import PACED_P99_MS, Figure
from bench.turns import Bench, check_sold, wait_caught_up


def paced_figure(bench: Bench) -> Figure:
    """Measure latency at a steady pace, the read models' projection running."""
    port = free_port()
    log = bench.directory / "paced.log"
    with bench.databases.fresh("bench_paced") as url:
        with serving(serve_arguments(port, url), port=port, log=log), Api(port=port) as api:
            stock_products(api, Mix.HOT)
            load = paced_load(
                Pace(
                    port=port,
                    seed=bench.seed,
                    per_second=bench.size.paced_per_second,
                    seconds=bench.size.paced_s,
                )
            )
            catch_up_s = wait_caught_up(api)
        sold = check_sold(url, (PLACED,), loads=[load])
    assert load.latency is not None
    return Figure(
        name=PACED_P99_MS,
        value=load.latency.p99_ms,
        spoiled=f"{load.failed} of {load.created + load.failed} failed" if load.failed else "",
        details={
            "per_second": load.per_second,
            "p50_ms": load.latency.p50_ms,
            "p999_ms": load.latency.p999_ms,
            "max_ms": load.latency.max_ms,
            "catch_up_s": catch_up_s,
            "seen": load.created,
            "sold": sold,
        },
    )
