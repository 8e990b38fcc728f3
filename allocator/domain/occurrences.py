"""What happened and where, for those who want to be told as it happens."""

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.carts import (
    CartClosed,
    CartEnded,
    CartExpired,
    CartOpened,
    LineHeld,
    LineRefused,
    LineWanted,
)
from allocator.domain.catalogue import LOCATION_PUT, PRODUCT_PUT, WAREHOUSE_PUT
from allocator.domain.checkouts import (
    CheckoutBegun,
    CheckoutEvent,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutUnknown,
    RefundDue,
)
from allocator.domain.codec import KINDS, UnknownEventError, decode_event
from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.interests import NOWHERE, Site
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.moves import MoveEvent
from allocator.domain.orders import LinesDispatched, LinesSettled, OrderEvent
from allocator.domain.positions import Position
from allocator.domain.reconciling import LotReconciled
from allocator.domain.records import Record
from allocator.domain.rows import Address
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    UnitsSent,
    UnitsTaken,
)

TOLD_EVENTS: Final = tuple(KINDS)
"""What is told of what happens to stock, tickets and moves included."""

TOLD_KINDS: Final = (*KINDS.values(), WAREHOUSE_PUT, LOCATION_PUT, PRODUCT_PUT)
"""What is told: what happens to stock, and to the names of things. Not what operators set up."""

Thing: TypeAlias = Literal[
    "order",
    "cart",
    "checkout",
    "stock",
    "move",
    "ticket_option",
    "warehouse",
    "location",
    "product",
]

OPTION_SEQ: Final = 1
"""Of the row that opened a ticket option: the option's id is its address."""

PROCESS_SEQ: Final = 1
"""Likewise of the row that requested a move, or an order of several lines, or opened a cart."""

_DECIDED_STEP: Final = 2
"""Of an order of several lines: it confirms, or lets go. Moves and carts do neither in it."""

THINGS_PUT: Final[dict[str, Thing]] = {
    WAREHOUSE_PUT: "warehouse",
    LOCATION_PUT: "location",
    PRODUCT_PUT: "product",
}
"""What has a name, by the kind of the events that say it."""

_OF_PROCESSES: Final[dict[type[object], Thing]] = {
    CartOpened: "cart",
    LineWanted: "cart",
    LineHeld: "cart",
    LineRefused: "cart",
    CartClosed: "cart",
    CartExpired: "cart",
    CartEnded: "cart",
    **dict.fromkeys(get_args(MoveEvent), "move"),
    **dict.fromkeys(get_args(OrderEvent), "order"),
    **dict.fromkeys(get_args(CheckoutEvent), "checkout"),
}
"""What a process journals of itself."""

_NAMES_PRODUCT: Final = frozenset(
    name for event, name in KINDS.items() if "product" in event.__struct_fields__
)


class _Named(msgspec.Struct, frozen=True):
    product: str | None = None


_decode_named: Final = msgspec.json.Decoder(_Named).decode


class Occurrence(msgspec.Struct, gc=False):
    """A row of the journal that is told.

    Attributes:
        encoded: As it is sent, once somebody has encoded it; all who listen share it.
    """

    position: Position
    site: Site
    record: Record
    encoded: bytes = b""


class UnknownPositionError(ValueError):
    """A position from which this journal cannot go on; the message says why."""


def product_named_by(record: Record) -> str | None:
    """Return the product that a row itself says, as rows of actors do that may be of several."""
    if record.kind not in _NAMES_PRODUCT:
        return None
    try:
        return _decode_named(record.body).product
    except msgspec.DecodeError:
        return None


def site_of(site: Site, record: Record) -> Site:
    """Return where a row happened, at the site of its actor: with the product that it names."""
    product = None if site.product is not None else product_named_by(record)
    return site if product is None else Site(site.warehouse, product)


def thing_of(occurrence: Occurrence) -> tuple[Thing | None, Address | None]:
    """Return what it happened to, and where that thing's id leads, if it has one.

    (None, None) for a kind that this release does not know, or a damaged row: others still want
    to be told of it.
    """
    record = occurrence.record
    if record.kind in THINGS_PUT:
        return THINGS_PUT[record.kind], None
    try:
        event = decode_event(kind=record.kind, version=record.version, body=record.body)
    except (UnknownEventError, msgspec.DecodeError):
        return None, None
    return thing_of_event(event, record, of_tickets=occurrence.site == NOWHERE)


def thing_of_event(
    event: Event, record: Record, *, of_tickets: bool
) -> tuple[Thing | None, Address | None]:
    """Return what an event happened to, and the address of the row that made it.

    What happens to tickets, purchases included, happens to their option; what a process asks of a
    pool, to the move, the order or the cart that the process is.

    Args:
        event: What the row says.
        record: The row.
        of_tickets: Whether its actor, if it is a pool, is a ticket option.
    """
    actor_id, seq = record.actor_id, record.seq
    thing: Thing | None = None
    address: Address | None = None
    match event:
        case _ if type(event) in _OF_PROCESSES:
            thing, address = _OF_PROCESSES[type(event)], (actor_id, _first_of(event, seq))
        case _ if of_tickets:
            thing, address = "ticket_option", (actor_id, OPTION_SEQ)
        case OrderPlaced():
            thing, address = "order", (actor_id, seq)
        case (
            OrderDispatched(order=order)
            | OrderPartlyDispatched(order=order)
            | OrderCancelled(order=order)
            | OrderRepicked(order=order)
        ):
            thing, address = "order", (actor_id, order)
        case StockReceived():
            thing, address = "stock", (actor_id, seq)
        case LotExpired(lot=lot) | UnitsRecalled(lot=lot):
            thing, address = "stock", (actor_id, lot)
        case LotReconciled() | UnitsAdjusted():
            thing, address = "stock", _stock_of(event, record)
        case UnitsHeld() | HoldRefused() | HoldConfirmed() | ProcessLetGo():
            return _thing_of_hold(event)
        case UnitsSent() | UnitsTaken() | ProductExpected() | SendRefused():
            thing, address = "move", (event.process, PROCESS_SEQ)
        case _:
            pass
    return thing, address


def _stock_of(event: LotReconciled | UnitsAdjusted, record: Record) -> Address | None:
    """Return the stock of which units came, went or changed their state, if it is one alone."""
    seqs = {change[0] for change in event.changes}
    if isinstance(event, UnitsAdjusted):
        seqs |= {recall[0] for recall in event.recalled}
    elif event.opened:
        seqs.add(record.seq)
    return (record.actor_id, seqs.pop()) if len(seqs) == 1 else None


def _first_of(event: Event, seq: int) -> int:
    """Return the seq of the row that made what a process journals something of."""
    match event:
        case CheckoutBegun():
            return seq
        case CheckoutPaid() | CheckoutFailed() | CheckoutUnknown() | RefundDue():
            return event.attempt
        case LinesDispatched(order=order) | LinesSettled(order=order):
            return order  # which may have been a cart before
        case _:
            return PROCESS_SEQ


def _thing_of_hold(
    event: UnitsHeld | HoldRefused | HoldConfirmed | ProcessLetGo,
) -> tuple[Thing | None, Address | None]:
    """Return for what a pool holds units, which only the steps of the process tell.

    An order of several lines is begun in its first step, and decided in its second one. What was
    paid for in a later one has the address of that step. A cart that lets go says that it is one.
    """
    process, step = event.process, event.step
    match event:
        case HoldConfirmed() if step != _DECIDED_STEP:
            return "order", (process, step)
        case ProcessLetGo(of_cart=True):
            return "cart", (process, PROCESS_SEQ)
        case ProcessLetGo() if step != _DECIDED_STEP:
            return "move", (process, PROCESS_SEQ)
        case UnitsHeld() | HoldRefused() if step != PROCESS_SEQ:
            return "cart", (process, PROCESS_SEQ)
        case _:
            return "order", (process, PROCESS_SEQ)
