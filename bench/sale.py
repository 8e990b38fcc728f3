"""The course of a flash sale: open it, let the crowd in, and gather what proves it fair."""

import asyncio
import itertools
import random
import time
from http import HTTPStatus
from urllib.parse import quote

import msgspec
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.api import Api, ApiError
from bench.errors import BenchError
from bench.messages import WAREHOUSE, Order
from bench.sale_crowd import Customer, Tally, Venue, wish_list
from bench.sale_proof import CLAIMS, Evidence, JournalEvent, Wish

DEMAND = 3
_PAGE = 200
_REFRESH_S = 0.25
_TICKS_A_LINE = 8


class SaleError(BenchError):
    """The sale did not come to its end."""


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """How large a sale is and how long it may take."""

    units: int
    clients: int
    seed: int
    within_s: float


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a pool's journal."""

    items: list[JournalEvent]


def hold_sale(sale: Sale, *, host: str, port: int, console: Console) -> Evidence:
    """Open a product that nobody has seen, let the crowd in, and gather the evidence.

    Raises:
        SaleError: the crowd was not done within its time.
        UnexpectedAnswerError: a customer got an answer that the contract has no room for.
        ApiError: the server did not answer what the evidence needs.
    """
    venue = Venue(host=host, port=port, product=f"sale-{time.time_ns():x}")
    with Api(host=host, port=port) as api:
        api.open_warehouse()
        api.stock(venue.product, quantity=sale.units)
        wishes = uvloop.run(_let_in(sale, venue, console=console))
        console.print("gathering the evidence")
        return _gather(api, venue, sale, wishes)


async def _let_in(sale: Sale, venue: Venue, *, console: Console) -> list[Wish]:
    tally = Tally()
    customers, wishes = _crowd(sale, venue, tally=tally)
    watcher = asyncio.create_task(_watch(tally, total=len(wishes), console=console))
    try:
        async with asyncio.timeout(sale.within_s):
            await asyncio.gather(*(customer.shop() for customer in customers))
    except TimeoutError as error:
        undone = len(wishes) - tally.done
        raise SaleError(f"{undone} wishes were open after {sale.within_s:.0f} s") from error
    finally:
        watcher.cancel()
    console.print(_course(tally))
    return wishes


def _crowd(sale: Sale, venue: Venue, *, tally: Tally) -> tuple[list[Customer], list[Wish]]:
    """Return the customers, and their wishes, which together are the whole demand."""
    customers = []
    wishes: list[Wish] = []
    for number in range(sale.clients):
        dice = random.Random(f"{sale.seed}-{number}")
        # The first few take one unit more, so that the shares add up.
        share, rest = divmod(DEMAND * sale.units, sale.clients)
        own = wish_list(f"{venue.product}-{number}", units=share + (number < rest), dice=dice)
        customers.append(Customer(venue, own, tally=tally, dice=dice))
        wishes += own
    return customers, wishes


async def _watch(tally: Tally, *, total: int, console: Console) -> None:
    """Show how the sale goes: a bar on a terminal, else a line now and then."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("wishes", total=total)
        for tick in itertools.count():
            progress.update(task, completed=tally.done, description=_brief(tally))
            if not console.is_terminal and tick % _TICKS_A_LINE == 0:
                console.print(f"{tally.done} of {total} wishes settled, {_brief(tally)}")
            await asyncio.sleep(_REFRESH_S)


def _brief(tally: Tally) -> str:
    return f"{tally.units} units acknowledged, {tally.refused} refused, {tally.attempts} attempts"


def _course(tally: Tally) -> str:
    """Describe what the customers did."""
    moods = (f"  {count:6} {mood.value}" for mood, count in tally.moods.most_common())
    rest = (
        f"{tally.unanswered} attempts had no answer, {tally.busy} were told to come back, "
        f"{tally.walked_away} wishes were given up"
    )
    return "\n".join([f"{_brief(tally)}, of which each", *moods, rest])


def _gather(api: Api, venue: Venue, sale: Sale, wishes: list[Wish]) -> Evidence:
    return Evidence(
        units=sale.units,
        wishes=wishes,
        events=_journal(api, venue.product),
        orders={order_id: _order(api, order_id) for wish in wishes for order_id in wish.order_ids},
        balance=api.balance(venue.product),
    )


def _journal(api: Api, product: str) -> list[JournalEvent]:
    """Return every event of the pool, page by page."""
    events: list[JournalEvent] = []
    where = f"/journal?product={quote(product)}&warehouse={WAREHOUSE}&limit={_PAGE}"
    while True:
        after = events[-1].seq if events else 0
        page = api.get(f"{where}&after={after}", Page)
        if not page.items:
            return events
        if page.items[0].seq <= after:
            raise ApiError(f"GET /journal gave seq {page.items[0].seq} again after {after}")
        events += page.items


def _order(api: Api, order_id: str) -> Order | None:
    status, body = api.request("GET", f"/orders/{quote(order_id)}")
    return msgspec.json.decode(body, type=Order) if status == HTTPStatus.OK else None


def report_claims(evidence: Evidence, *, console: Console) -> bool:
    """Print each claim with what contradicts it, and return whether all of them hold."""
    contradictions = [(claim.__name__.replace("_", " "), claim(evidence)) for claim in CLAIMS]
    for claim, contradiction in contradictions:
        mark, end = ("[red]NO[/]", f": {escape(contradiction)}") if contradiction else ("yes", "")
        console.print(f"  {mark:>4}  {claim}{end}", highlight=False)
    return not any(contradiction for _, contradiction in contradictions)
