"""What it costs orders that their warehouse has a system of its own (WMS).

Question: how many orders a second does a warehouse take that is fed, beside one that is not?
Load shape: 64 connections that order one product, or any of 1,000, at a server whose warehouse is
    fed and at one whose is not, by turns in each round, each on a fresh database; everything is
    polled every two seconds, and `allocator wms-sim` on the same machine applies what it was told
    as often. After each turn the WMS has to know of every unit that clients saw ordered, and of no
    other.
Expected: see bench/targets.py. What it is by the server's own CPU, which a busy machine disturbs
    less, is in the details.
Non-goals: how fast a real WMS is.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Final

import msgspec

from bench.api import Api
from bench.client import hammer
from bench.contenders import PLACED, serve_arguments, stock_products
from bench.load import Crowd, Load
from bench.messages import PLENTY_UNITS
from bench.mixes import Mix
from bench.processes import free_port, serving
from bench.targets import FED_TO_UNFED, Figure
from bench.turns import Bench, check_sold, wait_caught_up
from bench.wms import Feed, Goods, Wms, at_most, cpu_s, wms_in

_POLL_S: Final = 2


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one server did in one round.

    Attributes:
        cpu_us: What an order cost its process, everything after it included.
    """

    load: Load
    cpu_us: float


class _Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The turns of one round."""

    fed: _Turn
    unfed: _Turn

    @property
    def failed(self) -> int:
        return self.fed.load.failed + self.unfed.load.failed


def fed_orders_figure(bench: Bench) -> Figure:
    """Measure orders for one product, and those for any of a thousand in every other round."""
    pairs: dict[Mix, list[_Pair]] = {Mix.HOT: []}
    for number in range(bench.size.rounds):
        pairs[Mix.HOT].append(_pair(bench, Mix.HOT, number=number))
        if number % 2 == 0 and bench.is_whole:
            pairs.setdefault(Mix.SPREAD, []).append(_pair(bench, Mix.SPREAD, number=number))

    details: dict[str, float] = {}
    for mix, its in pairs.items():
        details |= {
            f"{mix.value}_ratio": median(
                each.fed.load.per_second / each.unfed.load.per_second for each in its
            ),
            f"{mix.value}_cpu_ratio": median(each.unfed.cpu_us / each.fed.cpu_us for each in its),
            f"{mix.value}_per_s": median(each.fed.load.per_second for each in its),
            f"{mix.value}_cpu_us": median(each.fed.cpu_us for each in its),
            f"{mix.value}_cpu_us_unfed": median(each.unfed.cpu_us for each in its),
        }
    failed = sum(each.failed for its in pairs.values() for each in its)
    return Figure(
        name=FED_TO_UNFED,
        value=details[f"{Mix.HOT.value}_ratio"],
        spoiled=f"{failed} requests failed" if failed else "",
        details=details,
    )


def _pair(bench: Bench, mix: Mix, *, number: int) -> _Pair:
    """Let both have their turns, another one first in each round."""
    if number % 2:
        fed = _fed_turn(bench, mix, number=number)
        unfed = _unfed_turn(bench, mix, number=number)
    else:
        unfed = _unfed_turn(bench, mix, number=number)
        fed = _fed_turn(bench, mix, number=number)
    bench.say(
        f"round {number + 1}, {mix.value}: {fed.load.per_second:.0f}/s fed, "
        f"{unfed.load.per_second:.0f}/s not"
    )
    return _Pair(fed=fed, unfed=unfed)


def _unfed_turn(bench: Bench, mix: Mix, *, number: int) -> _Turn:
    port = free_port()
    log = bench.directory / "wms.log"
    with (
        bench.databases.fresh("bench_wms") as url,
        serving(serve_arguments(port, url), port=port, log=log) as server,
        Api(port=port) as api,
    ):
        stock_products(api, mix)
        began_s = cpu_s(server.pid)
        load = hammer(_crowd(bench, mix, port=port, number=number))
        wait_caught_up(api)
        sold = check_sold(url, (PLACED,), loads=[load])
        return _Turn(load=load, cpu_us=(cpu_s(server.pid) - began_s) * 1e6 / sold)


def _fed_turn(bench: Bench, mix: Mix, *, number: int) -> _Turn:
    port = free_port()
    log = bench.directory / "wms.log"
    with ExitStack() as stack:
        url = stack.enter_context(bench.databases.fresh("bench_wms"))
        server = stack.enter_context(serving(serve_arguments(port, url), port=port, log=log))
        api = stack.enter_context(Api(port=port))
        flags = ("--batch-s", str(_POLL_S), *at_most(50))
        wms = stack.enter_context(wms_in(bench.directory, *flags))
        feed = _fed(api, url, wms, mix.products)
        began_s = cpu_s(server.pid)
        load = hammer(_crowd(bench, mix, port=port, number=number))
        wait_caught_up(api)
        sold = check_sold(url, (PLACED,), loads=[load])
        feed.wait_pushed(sold)
        cpu_us = (cpu_s(server.pid) - began_s) * 1e6 / sold
        feed.wait_told(wms, sold)
        return _Turn(load=load, cpu_us=cpu_us)


def _crowd(bench: Bench, mix: Mix, *, port: int, number: int) -> Crowd:
    return Crowd(
        port=port,
        mix=mix,
        seed=bench.seed + number,
        connections=bench.size.connections,
        seconds=bench.size.seconds,
    )


def _fed(api: Api, database: str, wms: Wms, products: Sequence[str]) -> Feed:
    """Have a warehouse be fed with plenty of some products, and know of them."""
    api.open_warehouse()
    for product in products:
        api.must("PUT", f"/products/{product}", {"name": product})
    wms.receive([Goods(product, "first", PLENTY_UNITS) for product in products])
    feed = Feed(api, database=database)
    feed.put(wms, poll_s=_POLL_S, rate_per_s=40, burst=40)
    feed.wait_complete()
    feed.wait_known(len(products))
    for product in products:
        api.balance(product)  # it is asked for by name, as it was where stock came by request
    return feed
