"""Whether a system of its own (WMS) is ever asked too often.

Question: how often does a WMS complain when there are 20 times as many orders as it takes requests?
Load shape: orders for one product at a steady pace; everything is polled twice a second, and
    `allocator wms-sim` on the same machine applies what it was told each second. Afterwards it has
    to know of every unit that clients saw ordered, and of no other.
Expected: see bench/targets.py.
Non-goals: what several workers do that feed from one WMS: each feed has a limit of its own.
"""

from typing import Final

from bench.api import Api
from bench.contenders import PLACED, serve_arguments
from bench.messages import HOT_PRODUCT, PLENTY_UNITS
from bench.paced import Pace, paced_load
from bench.processes import free_port, serving
from bench.targets import WMS_BREACHES, Figure
from bench.turns import Bench, check_sold
from bench.wms import Feed, Goods, wms_in

_EXCESS: Final = 20


def wms_limit_figure(bench: Bench) -> Figure:
    """Order 20 times as often as the WMS may be asked, and count what it complained of."""
    port = free_port()
    log = bench.directory / "wms.log"
    rate = bench.size.paced_per_second // _EXCESS
    seconds = bench.size.paced_s / 2
    with (
        bench.databases.fresh("bench_wms") as url,
        serving(serve_arguments(port, url), port=port, log=log),
        Api(port=port) as api,
        wms_in(bench.directory, "--batch-s", "1", "--rate", str(rate), "--burst", "2") as wms,
    ):
        api.open_warehouse()
        api.must("PUT", f"/products/{HOT_PRODUCT}", {"name": HOT_PRODUCT})
        wms.receive([Goods(HOT_PRODUCT, "first", PLENTY_UNITS)])
        feed = Feed(api, database=url)
        feed.put(wms, poll_s=0.5, rate_per_s=rate, burst=2)
        feed.wait_complete()
        feed.wait_known(1)
        pace = Pace(
            port=port,
            seed=bench.seed,
            per_second=bench.size.paced_per_second,
            seconds=seconds,
        )
        load = paced_load(pace)
        feed.wait_told(wms, check_sold(url, (PLACED,), loads=[load]))
        requests = wms.requests()
    return Figure(
        name=WMS_BREACHES,
        value=requests.limited,
        spoiled=f"{load.failed} orders failed" if load.failed else "",
        details={
            "limit_per_s": rate,
            "orders_per_s": load.per_second,
            "requests": requests.requests,
            "seconds": seconds,
        },
    )
