"""What it costs that a warehouse has a system of its own (WMS).

Questions: how many orders a second does a warehouse take that is fed, beside one that is not? How
    long does it take to reconcile 100,000 batches, and what do orders notice of it? How often is
    the WMS asked too often when there are 20 times as many orders as it takes requests?
Load shape: `allocator wms-sim` on the same machine. First 64 connections that order one product, or
    any of 1,000, at a server that is fed and at one that is not, by turns in each round; everything
    is polled every two seconds, and the WMS applies what it was told as often. Then orders for one
    product at a steady pace while everything is heard: all batches new, all as before, one in a
    hundred changed; 100,000 products of one batch, and 10,000 of ten. Then a WMS with a low limit.
    After each, the WMS has to know of every unit that clients saw ordered, and of no other.
Expected: see bench/targets.py.
Non-goals: how fast a real WMS is; this one may be asked a hundred times a second while 100,000
    batches are heard, as 100 pages otherwise take what its limit takes.
"""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Final

import msgspec

from bench.api import Api
from bench.client import hammer
from bench.contenders import PLACED, serve_arguments, stock_products
from bench.load import Crowd, Load
from bench.messages import HOT_PRODUCT, PLENTY_UNITS
from bench.mixes import Mix
from bench.paced import Pace, paced_load
from bench.processes import free_port, serving
from bench.targets import FED_TO_UNFED, RECONCILE_P99, RECONCILE_S, WMS_BREACHES, Figure
from bench.turns import Bench, check_sold, wait_caught_up
from bench.wms import Feed, Goods, Wms, cpu_s, name_products, wms_in

_PREFIX: Final = "sku-"
_UNITS: Final = 10
_CHANGED: Final = 100
"""One batch in so many is found to have fewer units."""
_BATCHES_OF_FULL_SIZE: Final = 100_000
_ORDERS_OF_FULL_SIZE: Final = 1_000_000
_EXCESS: Final = 20
_LONGEST_S: Final = 300.0
_MIXES: Final = (Mix.HOT, Mix.SPREAD)
_EACH: Final = (1, 10)
"""Batches of a product."""


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one server did in one round.

    Attributes:
        cpu_us: What an order cost its process, everything after it included.
    """

    load: Load
    cpu_us: float


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What it took to hear everything, and what orders took meanwhile and before."""

    seconds: float
    p99_ms: float


class _Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """Three runs of one warehouse, and what orders took before them."""

    name: str
    alone_ms: float
    new: _Heard
    same: _Heard
    changed: _Heard

    @property
    def all(self) -> tuple[_Heard, ...]:
        return self.new, self.same, self.changed

    @property
    def details(self) -> dict[str, float]:
        return {
            f"{self.name}_new_s": self.new.seconds,
            f"{self.name}_same_s": self.same.seconds,
            f"{self.name}_changed_s": self.changed.seconds,
        }

    @property
    def p99s(self) -> dict[str, float]:
        return {
            f"{self.name}_alone_ms": self.alone_ms,
            f"{self.name}_new_ms": self.new.p99_ms,
            f"{self.name}_same_ms": self.same.p99_ms,
            f"{self.name}_changed_ms": self.changed.p99_ms,
        }


def wms_figures(bench: Bench) -> list[Figure]:
    """Measure all of it."""
    return [_ratio_figure(bench), *_reconcile_figures(bench), _breaches_figure(bench)]


def _ratio_figure(bench: Bench) -> Figure:
    rounds: list[dict[tuple[Mix, bool], _Turn]] = []
    mixes = _MIXES if _is_whole(bench) else _MIXES[:1]
    turns = [(mix, is_fed) for mix in mixes for is_fed in (False, True)]
    for number in range(bench.size.rounds):
        order = turns if number % 2 else turns[::-1]
        rounds.append({turn: _turn(bench, *turn, number=number) for turn in order})
    failed = sum(turn.load.failed for each in rounds for turn in each.values())

    details: dict[str, float] = {}
    for mix in mixes:
        pairs = [(each[mix, True], each[mix, False]) for each in rounds]
        details |= {
            f"{mix.value}_ratio": median(
                fed.load.per_second / unfed.load.per_second for fed, unfed in pairs
            ),
            f"{mix.value}_per_s": median(fed.load.per_second for fed, _ in pairs),
            f"{mix.value}_cpu_us": median(fed.cpu_us for fed, _ in pairs),
            f"{mix.value}_cpu_us_unfed": median(unfed.cpu_us for _, unfed in pairs),
        }
    return Figure(
        name=FED_TO_UNFED,
        value=details[f"{Mix.HOT.value}_ratio"],
        spoiled=f"{failed} requests failed" if failed else "",
        details=details,
    )


def _turn(bench: Bench, mix: Mix, is_fed: bool, *, number: int) -> _Turn:  # noqa: FBT001 (a pair)
    """Have a crowd order of a fresh server, and wait until all of it has come where it belongs."""
    port = free_port()
    log = bench.directory / "wms.log"
    with ExitStack() as stack:
        url = stack.enter_context(bench.databases.fresh("bench_wms"))
        server = stack.enter_context(serving(serve_arguments(port, url), port=port, log=log))
        api = stack.enter_context(Api(port=port))
        feed = wms = None
        if is_fed:
            wms = stack.enter_context(wms_in(bench.directory, "--batch-s", "2", *_often(50)))
            feed = _feed(api, url, wms, mix.products)
        else:
            stock_products(api, mix)
        began_s = cpu_s(server.pid)
        load = hammer(
            Crowd(
                port=port,
                mix=mix,
                seed=bench.seed + number,
                connections=bench.size.connections,
                seconds=bench.size.seconds,
            )
        )
        wait_caught_up(api)
        sold = check_sold(url, (PLACED,), loads=[load])
        if feed is not None and wms is not None:
            feed.wait_told(wms, sold)
        return _Turn(load=load, cpu_us=(cpu_s(server.pid) - began_s) * 1e6 / sold)


def _feed(api: Api, database: str, wms: Wms, products: Sequence[str]) -> Feed:
    """Have a warehouse be fed with plenty of some products, and know of them."""
    api.open_warehouse()
    for product in products:
        api.must("PUT", f"/products/{product}", {"name": product})
    wms.receive([Goods(product, "first", PLENTY_UNITS) for product in products])
    feed = Feed(api, database=database)
    feed.put(wms, poll_s=2, rate_per_s=40, burst=40)
    feed.wait_complete()
    feed.wait_known(len(products))
    return feed


def _reconcile_figures(bench: Bench) -> list[Figure]:
    batches = _BATCHES_OF_FULL_SIZE * bench.size.fill_orders // _ORDERS_OF_FULL_SIZE
    each = _EACH if _is_whole(bench) else _EACH[-1:]
    shapes = [
        _reconcile(bench, name=f"by_{count}", products=batches // count, each=count)
        for count in each
    ]
    return [
        Figure(
            name=RECONCILE_S,
            value=max(heard.seconds for shape in shapes for heard in shape.all),
            details={name: value for shape in shapes for name, value in shape.details.items()},
        ),
        Figure(
            name=RECONCILE_P99,
            value=max(heard.p99_ms / shape.alone_ms for shape in shapes for heard in shape.all),
            details={name: value for shape in shapes for name, value in shape.p99s.items()},
        ),
    ]


def _reconcile(bench: Bench, *, name: str, products: int, each: int) -> _Reconciled:
    """Hear three times of so many products with so many batches each, while orders come."""
    port = free_port()
    log = bench.directory / "wms.log"
    skus = [f"{_PREFIX}{number}" for number in range(products)]
    goods = [Goods(sku, f"batch-{batch}", _UNITS) for sku in skus for batch in range(each)]
    with (
        bench.databases.fresh("bench_wms") as url,
        serving(serve_arguments(port, url), port=port, log=log),
        Api(port=port) as api,
        wms_in(bench.directory, "--batch-s", "86400", *_often(200)) as wms,
    ):
        api.open_warehouse()
        api.must("PUT", f"/products/{HOT_PRODUCT}", {"name": HOT_PRODUCT})
        name_products(url, prefix=_PREFIX, count=products)
        wms.receive([Goods(HOT_PRODUCT, "first", PLENTY_UNITS)])
        feed = Feed(api, database=url)
        feed.put(wms, poll_s=0, rate_per_s=100, burst=100)
        feed.run()
        feed.wait_known(1)
        loads: list[Load] = [_paced(bench, port=port, seconds=min(bench.size.paced_s, 15.0))]
        wms.receive(goods)
        new = _hear(bench, feed, loads, port=port)
        feed.wait_known(products + 1)
        same = _hear(bench, feed, loads, port=port)
        wms.lose([Goods(each.sku, each.batch, 1) for each in goods[::_CHANGED]])
        changed = _hear(bench, feed, loads, port=port)
        feed.wait_told(wms, check_sold(url, (PLACED,), loads=loads))
    return _Reconciled(name=name, alone_ms=_p99_ms(loads[0]), new=new, same=same, changed=changed)


def _hear(bench: Bench, feed: Feed, loads: list[Load], *, port: int) -> _Heard:
    """Have everything be heard while orders come; they are added to `loads`."""
    over = threading.Event()
    took_s: list[float] = []

    def run() -> None:
        try:
            took_s.append(feed.run())
        finally:
            over.set()

    running = threading.Thread(target=run)
    running.start()
    load = _paced(bench, port=port, seconds=_LONGEST_S, enough=over)
    running.join()
    loads.append(load)
    return _Heard(seconds=took_s[0], p99_ms=_p99_ms(load))


def _paced(
    bench: Bench, *, port: int, seconds: float, enough: threading.Event | None = None
) -> Load:
    return paced_load(
        Pace(
            port=port,
            seed=bench.seed,
            per_second=bench.size.paced_per_second,
            seconds=seconds,
            enough=(enough or threading.Event()).is_set,
        )
    )


def _p99_ms(load: Load) -> float:
    assert load.latency is not None, "each was timed"
    return load.latency.p99_ms


def _breaches_figure(bench: Bench) -> Figure:
    """Order 20 times as often as the WMS may be asked, and count what it complained of."""
    port = free_port()
    log = bench.directory / "wms.log"
    rate = bench.size.paced_per_second // _EXCESS
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
        load = _paced(bench, port=port, seconds=bench.size.paced_s / 2)
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
            "seconds": bench.size.paced_s / 2,
        },
    )


def _is_whole(bench: Bench) -> bool:
    """Whether it is measured, and not only shown that it works."""
    return bench.size.rounds > 1


def _often(per_s: int) -> tuple[str, ...]:
    """Return flags of a WMS that may be asked so often."""
    return "--rate", str(per_s), "--burst", str(per_s)
