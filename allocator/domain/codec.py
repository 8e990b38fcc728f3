"""Events as the journal stores them: a kind, a version and a JSON body.

The tables below are the storage format. A kind is never renamed or reused; an event whose fields or
meaning change gets a new version, and the step from the old one (`upcast`) stays for as long as
journals do.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.api_keys import API_KEY_CREATED, API_KEY_REVOKED
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
    CheckoutFailed,
    CheckoutPaid,
    CheckoutUnknown,
    RefundDue,
)
from allocator.domain.feeds import (
    FeedDeleted,
    FeedEnded,
    FeedPut,
    PartEnded,
    PollBegun,
    PollEnded,
    RunBegun,
    RunEnded,
)
from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.moves import (
    MoveDone,
    MoveEnded,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
)
from allocator.domain.orders import (
    LinesCancelled,
    LinesDispatched,
    LinesSettled,
    OrderAccepted,
    OrderDeclined,
    OrderRequested,
)
from allocator.domain.reconciling import FeedAttached, FeedDetached, LotReconciled, ShortfallChanged
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.upcast import UPCASTERS, decoders_of
from allocator.domain.webhooks import WEBHOOK_DELETED, WEBHOOK_PUT, WEBHOOK_ROTATED

STOCK_KINDS: Final[dict[type[Event], str]] = {
    StockReceived: "stock_received",
    OrderPlaced: "order_placed",
    OrderDispatched: "order_dispatched",
    OrderCancelled: "order_cancelled",
    LotExpired: "lot_expired",
}
"""What a pool journals for its own part."""

POOL_KINDS: Final[dict[type[Event], str]] = {
    **STOCK_KINDS,
    TicketOptionOpened: "ticket_option_opened",
    ProductExpected: "product_expected",
    UnitsSent: "units_sent",
    SendRefused: "send_refused",
    UnitsTaken: "units_taken",
    ProcessLetGo: "process_let_go",
    UnitsHeld: "units_held",
    HoldRefused: "hold_refused",
    HoldConfirmed: "hold_confirmed",
    OrderPartlyDispatched: "order_partly_dispatched",
    FeedAttached: "feed_attached",
    LotReconciled: "lot_reconciled",
    FeedDetached: "feed_detached",
    ShortfallChanged: "shortfall_changed",
    UnitsAdjusted: "units_adjusted",
    UnitsRecalled: "units_recalled",
    OrderRepicked: "order_repicked",
}
"""What a pool journals; what processes ask of it, too."""

KINDS: Final[dict[type[Event], str]] = {
    **POOL_KINDS,
    MoveRequested: "move_requested",
    MoveExpected: "move_expected",
    MoveSent: "move_sent",
    MoveDone: "move_done",
    MoveRefused: "move_refused",
    MoveEnded: "move_ended",
    OrderRequested: "order_requested",
    OrderAccepted: "order_accepted",
    OrderDeclined: "order_declined",
    LinesDispatched: "lines_dispatched",
    LinesCancelled: "lines_cancelled",
    LinesSettled: "lines_settled",
    CartOpened: "cart_opened",
    LineWanted: "line_wanted",
    LineHeld: "line_held",
    LineRefused: "line_refused",
    CartClosed: "cart_closed",
    CartExpired: "cart_expired",
    CartEnded: "cart_ended",
    CheckoutBegun: "checkout_begun",
    CheckoutPaid: "checkout_paid",
    CheckoutFailed: "checkout_failed",
    CheckoutUnknown: "checkout_unknown",
    RefundDue: "refund_due",
    FeedPut: "feed_put",
    FeedDeleted: "feed_deleted",
    FeedEnded: "feed_ended",
    PollBegun: "poll_begun",
    PollEnded: "poll_ended",
    RunBegun: "run_begun",
    PartEnded: "part_ended",
    RunEnded: "run_ended",
}
"""What actors journal."""

VERSIONS: Final[dict[str, int]] = {
    "stock_received": 2,
    "order_placed": 2,
    "order_dispatched": 2,
    "order_cancelled": 3,
    "lot_expired": 2,
    "ticket_option_opened": 1,
    "product_expected": 1,
    "units_sent": 1,
    "send_refused": 1,
    "units_taken": 2,
    "process_let_go": 3,
    "units_held": 2,
    "hold_refused": 1,
    "hold_confirmed": 1,
    "order_partly_dispatched": 1,
    "units_adjusted": 1,
    "units_recalled": 1,
    "order_repicked": 1,
    "move_requested": 1,
    "move_expected": 1,
    "move_sent": 1,
    "move_done": 1,
    "move_refused": 1,
    "move_ended": 1,
    "order_requested": 1,
    "order_accepted": 1,
    "order_declined": 1,
    "lines_dispatched": 1,
    "lines_cancelled": 1,
    "lines_settled": 1,
    "cart_opened": 1,
    "line_wanted": 1,
    "line_held": 1,
    "line_refused": 1,
    "cart_closed": 1,
    "cart_expired": 1,
    "cart_ended": 1,
    "checkout_begun": 1,
    "checkout_paid": 1,
    "checkout_failed": 1,
    "checkout_unknown": 1,
    "refund_due": 1,
    "feed_attached": 1,
    "lot_reconciled": 2,
    "feed_detached": 1,
    "shortfall_changed": 1,
    "feed_put": 1,
    "feed_deleted": 1,
    "feed_ended": 1,
    "poll_begun": 1,
    "poll_ended": 1,
    "run_begun": 1,
    "part_ended": 1,
    "run_ended": 1,
    WAREHOUSE_PUT: 1,
    LOCATION_PUT: 1,
    PRODUCT_PUT: 1,
    API_KEY_CREATED: 1,
    API_KEY_REVOKED: 1,
    WEBHOOK_PUT: 1,
    WEBHOOK_ROTATED: 1,
    WEBHOOK_DELETED: 1,
}
"""Which version of each stored kind is written today, those of tables included; all older ones
are read as well. Read models are made in SQL: see ADR 0013 before you count one up."""

_encoder = msgspec.json.Encoder()
_decoders: Final = decoders_of(KINDS, versions=VERSIONS, upcasters=UPCASTERS)


class UnknownEventError(ValueError):
    """A stored event of a kind or version that this release does not know.

    The journal was written by a newer release: run that one. Nothing is guessed.
    """

    def __init__(self, *, kind: str, version: int) -> None:
        super().__init__(f"the journal holds an event {kind!r} of unknown version {version}")
        self.kind = kind
        self.version = version


def encode_event(event: Event) -> bytes:
    """Return the JSON body of `event`; the same event always gives the same bytes."""
    return _encoder.encode(event)


def decode_event(*, kind: str, version: int, body: str | bytes) -> Event:
    """Return the event that `encode_event` stored, in this release or in any before it.

    Raises:
        UnknownEventError: Written by a newer release.
        msgspec.ValidationError: The body was tampered with.
    """
    decode = _decoders.get((kind, version))
    if decode is None:
        raise UnknownEventError(kind=kind, version=version)
    return decode(body)


def decoder_of(*, kind: str, version: int) -> Callable[[str | bytes], Event]:
    """Return what reads bodies of a kind and version, for whoever reads many.

    Raises:
        UnknownEventError: Written by a newer release.
    """
    decode = _decoders.get((kind, version))
    if decode is None:
        raise UnknownEventError(kind=kind, version=version)
    return decode
