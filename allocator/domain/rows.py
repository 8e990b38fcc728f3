"""Rows of the read models, as queries hand them out. Addresses are not sealed yet."""

from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain import order_rules
from allocator.domain.adjustments import UnitsAdjusted
from allocator.domain.carts import Cart, CartStatus
from allocator.domain.checkouts import Checkout, CheckoutStatus, Item
from allocator.domain.moves import Move, MoveStatus, Reason
from allocator.domain.orders import Order, Status
from allocator.domain.transfers import Transfer
from allocator.domain.values import Picks, States

OrderStatus: TypeAlias = Literal["new", "partly_dispatched", "dispatched", "cancelled"]

CLOSED: Final = frozenset({"dispatched", "cancelled"})
"""Statuses of orders that are final."""

Address: TypeAlias = tuple[int, int]
"""(actor id, seq): what an id says. Lists are sorted by it."""


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order of one line, which a pool keeps.

    Attributes:
        picks: What was picked for it, whatever has left since.
        dispatched: How many units have left.
        flagged: Whether units of it are recalled, and there are no others yet.
    """

    actor_id: int
    seq: int
    warehouse: str
    product: str
    quantity: int
    status: OrderStatus
    created_at_ms: int
    customer: str | None
    picks: Picks
    dispatched: int = 0
    flagged: bool = False


class LineRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order of several; fields as of `OrderRow`.

    Attributes:
        pool: Its actor.
    """

    pool: int
    warehouse: str
    product: str
    quantity: int
    picks: Picks
    dispatched: int


class LinesRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order of several lines, which a process keeps."""

    actor_id: int
    seq: int
    status: OrderStatus
    created_at_ms: int
    customer: str | None
    lines: tuple[LineRow, ...]
    flagged: bool = False

    @classmethod
    def of(cls, actor_id: int, seq: int, order: Order) -> "LinesRow | None":
        """Return what is to be said of an order as it stands; None unless it was accepted."""
        match order.status:
            case "new" | "partly_dispatched" | "dispatched" | "cancelled" as status:
                pass
            case _:
                return None
        return cls(
            actor_id=actor_id,
            seq=seq,
            status=status,
            created_at_ms=order.requested_at_ms,
            customer=order.customer,
            lines=tuple(
                LineRow(
                    pool=line.pool,
                    warehouse=line.warehouse,
                    product=line.product,
                    quantity=line.quantity,
                    picks=held.picks,
                    dispatched=0 if status == "cancelled" else line.quantity - left,
                )
                for line, held, left in zip(order.lines, order.held, order.left, strict=True)
            ),
        )


class ListedLine(LineRow, frozen=True, kw_only=True):
    """A line as the read model has it.

    Attributes:
        order: The number of the order in its pool.
    """

    order: int


class ProcessOrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """All that the read model says of an order of several lines; before it is accepted, too.

    Attributes:
        closed_at_ms: When it was dispatched as a whole, or cancelled.
        confirmed: Whether its pools have made orders of what they held.
        ended: Whether nothing will happen to it any more.
        lines: None before it is accepted.
    """

    seq: int
    version: int
    status: Status
    customer: str | None
    created_at_ms: int
    closed_at_ms: int | None
    confirmed: bool
    ended: bool
    lines: tuple[ListedLine, ...]

    @classmethod
    def of(cls, _actor_id: int, order: Order) -> "ProcessOrderRow | None":
        """Return what is to be said of an order as it stands; None before it is requested."""
        if order.status is None:
            return None
        is_cancelled, is_closed = order.status == "cancelled", order.status in CLOSED
        return cls(
            seq=order.number,
            version=order.version,
            status=order.status,
            customer=order.customer,
            created_at_ms=order.requested_at_ms,
            closed_at_ms=order.changed_at_ms if is_closed else None,
            confirmed=order.confirmed,
            ended=order_rules.has_ended(order),
            lines=tuple(
                ListedLine(
                    pool=line.pool,
                    order=held.order,
                    warehouse=line.warehouse,
                    product=line.product,
                    quantity=line.quantity,
                    picks=held.picks,
                    dispatched=0 if is_cancelled else line.quantity - left,
                )
                for line, held, left in zip(order.lines, order.held, order.left, strict=False)
            ),
        )


class CheckoutRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the read model says of an attempt to pay; fields as of `Checkout`."""

    attempt: int
    status: CheckoutStatus
    amount: int
    currency: str
    items: tuple[Item, ...]
    begun_at_ms: int
    changed_at_ms: int
    changed: int

    @classmethod
    def of(cls, checkout: Checkout) -> "CheckoutRow":
        """Return what is to be said of an attempt as it stands."""
        begun = checkout.begun
        return cls(
            attempt=checkout.attempt,
            status=checkout.status,
            amount=begun.amount,
            currency=begun.currency,
            items=begun.items,
            begun_at_ms=checkout.begun_at_ms,
            changed_at_ms=checkout.changed_at_ms,
            changed=checkout.changed,
        )


class CartRow(msgspec.Struct, frozen=True, kw_only=True):
    """All that the read models say of a cart.

    Attributes:
        order: What it has become, if it was paid for.
    """

    version: int
    customer: str | None
    status: CartStatus
    opened_at_ms: int
    expires_at_ms: int
    checkouts: tuple[CheckoutRow, ...]
    order: ProcessOrderRow | None

    @classmethod
    def of(cls, actor_id: int, cart: Cart) -> "CartRow | None":
        """Return what is to be said of a cart as it stands; None before it is opened."""
        if cart.status is None:
            return None
        return cls(
            version=cart.version,
            customer=cart.customer,
            status=cart.status,
            opened_at_ms=cart.opened_at_ms,
            expires_at_ms=cart.expires_at_ms,
            checkouts=tuple(CheckoutRow.of(each) for each in cart.checkouts),
            order=None if cart.order is None else ProcessOrderRow.of(actor_id, cart.order),
        )


class OrderEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How an order ended, and when.

    Attributes:
        quantity: The units that were ordered till then; fewer than were placed if others had left.
    """

    status: OrderStatus
    at_ms: int
    quantity: int


class PurchaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """Tickets that somebody bought."""

    seq: int
    customer: str
    quantity: int
    created_at_ms: int


class PaidRow(msgspec.Struct, frozen=True, kw_only=True):
    """A cart that was paid for.

    Attributes:
        attempt: Names the checkout in the cart.
        changed: The order's number.
    """

    actor_id: int
    attempt: int
    changed: int
    customer: str | None
    amount: int
    currency: str
    items: tuple[Item, ...]
    paid_at_ms: int


class StockRow(msgspec.Struct, frozen=True, kw_only=True):
    """A lot; `available` is 0 once it is used up or expired.

    Attributes:
        origin: The address of the lot elsewhere of which it was part, if it was moved here.
        aside: Units of it that are there and cannot be sold, by state, but for the expired ones.
        recalled: Units of it that it owes to states.
    """

    actor_id: int
    seq: int
    warehouse: str
    product: str
    quantity: int
    available: int
    received_at_ms: int
    expires_at_ms: int | None
    lot: str | None
    reference: str | None
    origin: Address | None = None
    aside: States = ()
    recalled: int = 0


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pool's numbers at `version`."""

    actor_id: int
    warehouse: str
    product: str
    version: int
    available: int
    ordered: int
    held: int
    expired: int
    aside: States = ()


class AdjustmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An adjustment; `seq` is of its event, and the version of the balance with it."""

    actor_id: int
    seq: int
    warehouse: str
    product: str
    at_ms: int
    event: UnitsAdjusted


class MoveRow(msgspec.Struct, frozen=True, kw_only=True):
    """A move.

    Attributes:
        decided_at_ms: When it was done or refused; None before.
        lots: What left, by the lots from which; empty before, and if it was refused.
        reason: Why it was refused, if it was.
    """

    actor_id: int
    product: str
    from_code: str
    to_code: str
    quantity: int
    status: MoveStatus
    requested_at_ms: int
    decided_at_ms: int | None
    lots: tuple[Transfer, ...]
    reason: Reason | None

    @classmethod
    def of(cls, actor_id: int, move: Move) -> "MoveRow | None":
        """Return what is to be said of a move as it stands; None before it was requested."""
        request = move.request
        if request is None:
            return None
        return cls(
            actor_id=actor_id,
            product=request.product,
            from_code=request.from_code,
            to_code=request.to_code,
            quantity=request.quantity,
            status=move.status,
            requested_at_ms=move.requested_at_ms,
            decided_at_ms=move.decided_at_ms,
            lots=move.lots,
            reason=move.reason,
        )


class MoveFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which moves to list; None means any.

    Attributes:
        location: From it or to it.
    """

    status: MoveStatus | None = None
    location: str | None = None
    product: str | None = None


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders to list; None means any."""

    status: OrderStatus | None = None
    warehouse: str | None = None
    product: str | None = None
    customer: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: at most `limit` rows after an address."""

    limit: int
    after: Address = (0, 0)


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """How far the read models are behind the journal.

    Attributes:
        events: Rows not yet applied.
        held_back: Transactions that committed rows but wait for an older one to end; a long
            one in any database of the server does that.
        quarantined: Actors whose projection failed and stands still.
        unknown_checkouts: Attempts to pay, as they know them, of which nobody knows what became.
        refunds_due: Likewise, attempts for which money is to be given back.
    """

    events: int
    held_back: int
    quarantined: int
    unknown_checkouts: int = 0
    refunds_due: int = 0
