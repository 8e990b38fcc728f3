"""How long it takes to hear 100,000 batches, and what orders notice of it.

Question: how long does a warehouse take to reconcile everything that a system of its own (WMS) has,
    and what becomes of the latency of orders meanwhile?
Load shape: `allocator wms-sim` on the same machine. Orders for one product at a steady pace while
    everything is heard: all batches new, all as before, one in a hundred changed; 100,000 products
    of one batch, and 10,000 of ten. Before each of the three, orders come for a few seconds alone;
    the median of their three p99s is what the others are divided by. Afterwards the WMS has to know
    of every unit that clients saw ordered, and of no other.
Expected: see bench/targets.py.
Non-goals: how fast a real WMS is; this one may be asked a hundred times a second, as 100 pages
    otherwise take what its limit takes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Final

import msgspec

from bench.api import Api
from bench.contenders import PLACED, serve_arguments
from bench.load import Load
from bench.messages import HOT_PRODUCT, PLENTY_UNITS
from bench.paced import Pace, never, paced_load
from bench.processes import free_port, serving
from bench.targets import RECONCILE_P99, RECONCILE_S, Figure
from bench.turns import Bench, check_sold
from bench.wms import Feed, Goods, at_most, name_products, wms_in

_PREFIX: Final = "sku-"
_UNITS: Final = 10
_CHANGED: Final = 100
"""One batch in so many is found to have fewer units."""
_BATCHES_OF_FULL_SIZE: Final = 100_000
_ORDERS_OF_FULL_SIZE: Final = 1_000_000
_ALONE_SHARE: Final = 12
_ALONE_MIN_S: Final = 0.5
_LONGEST_S: Final = 300.0
_EACH: Final = (1, 10)
"""Batches of a product."""


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What it took to hear everything, and what orders took meanwhile, and before."""

    what: str
    seconds: float
    p99_ms: float
    alone_ms: float


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Three runs of one warehouse."""

    name: str
    heard: list[_Heard]

    @property
    def alone_ms(self) -> float:
        return median(each.alone_ms for each in self.heard)

    @property
    def seconds(self) -> dict[str, float]:
        return {f"{self.name}_{each.what}_s": each.seconds for each in self.heard}

    @property
    def p99s(self) -> dict[str, float]:
        those = {f"{self.name}_{each.what}_ms": each.p99_ms for each in self.heard}
        return {f"{self.name}_alone_ms": self.alone_ms} | those


def reconcile_figures(bench: Bench) -> list[Figure]:
    """Measure it with one batch of each product, and with ten."""
    batches = _BATCHES_OF_FULL_SIZE * bench.size.fill_orders // _ORDERS_OF_FULL_SIZE
    shapes = [
        _shape(bench, products=batches // each, each=each)
        for each in (_EACH if bench.is_whole else _EACH[-1:])
    ]
    return [
        Figure(
            name=RECONCILE_S,
            value=max(seconds for shape in shapes for seconds in shape.seconds.values()),
            details={name: value for shape in shapes for name, value in shape.seconds.items()},
        ),
        Figure(
            name=RECONCILE_P99,
            value=max(each.p99_ms / shape.alone_ms for shape in shapes for each in shape.heard),
            details={name: value for shape in shapes for name, value in shape.p99s.items()},
        ),
    ]


def _shape(bench: Bench, *, products: int, each: int) -> _Shape:
    """Hear three times of so many products with so many batches each, while orders come."""
    port = free_port()
    log = bench.directory / "wms.log"
    skus = [f"{_PREFIX}{number}" for number in range(products)]
    goods = [Goods(sku, f"batch-{batch}", _UNITS) for sku in skus for batch in range(each)]
    shape = _Shape(name=f"by_{each}", heard=[])
    with (
        bench.databases.fresh("bench_wms") as url,
        serving(serve_arguments(port, url), port=port, log=log),
        Api(port=port) as api,
        wms_in(bench.directory, "--batch-s", "86400", *at_most(200)) as wms,
    ):
        api.open_warehouse()
        api.must("PUT", f"/products/{HOT_PRODUCT}", {"name": HOT_PRODUCT})
        name_products(url, prefix=_PREFIX, count=products)
        wms.receive([Goods(HOT_PRODUCT, "first", PLENTY_UNITS)])
        feed = Feed(api, database=url)
        feed.put(wms, poll_s=0, rate_per_s=100, burst=100)
        feed.run()
        feed.wait_known(1)
        ear = _Ear(bench, feed, shape, port=port)
        wms.receive(goods)
        ear.hear("new")
        feed.wait_known(products + 1)
        ear.hear("same")
        wms.lose([Goods(each.sku, each.batch, 1) for each in goods[::_CHANGED]])
        ear.hear("changed")
        feed.wait_told(wms, check_sold(url, (PLACED,), loads=ear.loads))
    return shape


class _Ear:
    """Has everything be heard while orders come.

    Attributes:
        loads: All orders that came.
    """

    def __init__(self, bench: Bench, feed: Feed, shape: _Shape, *, port: int) -> None:
        self.loads: list[Load] = []
        self._bench = bench
        self._feed = feed
        self._shape = shape
        self._port = port

    def hear(self, what: str) -> None:
        """Have orders come alone, and then while everything is heard."""
        alone_s = max(self._bench.size.paced_s / _ALONE_SHARE, _ALONE_MIN_S)
        alone_ms = self._p99_ms(seconds=alone_s)
        with ThreadPoolExecutor(1) as thread:
            run = thread.submit(self._feed.run)
            p99_ms = self._p99_ms(seconds=_LONGEST_S, enough=run.done)
            seconds = run.result()
        self._shape.heard.append(
            _Heard(what=what, seconds=seconds, p99_ms=p99_ms, alone_ms=alone_ms)
        )
        told = f"{seconds:.1f} s, p99 {p99_ms:.1f} ms, {alone_ms:.1f} ms before"
        self._bench.say(f"{self._shape.name}, {what}: {told}")

    def _p99_ms(self, *, seconds: float, enough: Callable[[], bool] = never) -> float:
        load = paced_load(
            Pace(
                port=self._port,
                seed=self._bench.seed,
                per_second=self._bench.size.paced_per_second,
                seconds=seconds,
                enough=enough,
            )
        )
        self.loads.append(load)
        assert load.latency is not None, "each was timed"
        return load.latency.p99_ms
