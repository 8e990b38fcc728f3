"""What a purchase of tickets costs beside an order.

Question: how many durable purchases a second does one ticket option take, beside orders of one
    product?
Load shape: 64 connections, both on one server and database, by turns in each round; the ratio is
    taken within a round. Afterwards the journal has to hold what the clients saw.
Expected: a little more than 1: it is the same message to the same kind of actor, and the answer of
    an order has a body.
Non-goals: the read model of purchases, which is that of orders.
"""

from statistics import median

import msgspec

from bench.api import Api
from bench.client import hammer
from bench.contenders import PLACED, serve_arguments, stock_products
from bench.load import Crowd, Load
from bench.messages import PLENTY_UNITS
from bench.mixes import Mix
from bench.processes import free_port, serving
from bench.targets import TICKETS_TO_HOT, Figure
from bench.turns import Bench, check_sold, wait_caught_up


class Option(msgspec.Struct):
    """A ticket option, as far as a benchmark wants to know it."""

    id: str


def tickets_figure(bench: Bench) -> Figure:
    """Compare purchases with orders, round by round."""
    port = free_port()
    log = bench.directory / "tickets.log"
    rounds: list[dict[Mix, Load]] = []
    with bench.databases.fresh("bench_tickets") as url:
        with serving(serve_arguments(port, url), port=port, log=log), Api(port=port) as api:
            stock_products(api, Mix.HOT)
            option = _open_option(api)
            for number in range(bench.size.rounds):
                mixes = (Mix.HOT, Mix.TICKETS) if number % 2 else (Mix.TICKETS, Mix.HOT)
                rounds.append({mix: _load(bench, mix, port=port, option=option) for mix in mixes})
                wait_caught_up(api)
        loads = [load for each in rounds for load in each.values()]
        sold = check_sold(url, (PLACED,), loads=loads)
    ratios = [each[Mix.TICKETS].per_second / each[Mix.HOT].per_second for each in rounds]
    failed = sum(load.failed for load in loads)
    return Figure(
        name=TICKETS_TO_HOT,
        value=median(ratios),
        spoiled=f"{failed} requests failed" if failed else "",
        failure=next((load.first_failure for load in loads if load.first_failure), ""),
        details={
            "orders_per_s": median(each[Mix.HOT].per_second for each in rounds),
            "purchases_per_s": median(each[Mix.TICKETS].per_second for each in rounds),
            "lowest_ratio": min(ratios),
            "highest_ratio": max(ratios),
            "sold": sold,
        },
    )


def _open_option(api: Api) -> str:
    body = {"name": "Gig", "desc": "", "allocation": PLENTY_UNITS}
    return msgspec.json.decode(api.must("POST", "/ticket_options", body), type=Option).id


def _load(bench: Bench, mix: Mix, *, port: int, option: str) -> Load:
    """Have a crowd order, or buy, for some seconds."""
    return hammer(
        Crowd(
            port=port,
            mix=mix,
            seed=bench.seed,
            connections=bench.size.connections,
            seconds=bench.size.seconds,
            option=option if mix is Mix.TICKETS else "",
        )
    )
