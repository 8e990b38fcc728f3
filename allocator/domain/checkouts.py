"""Checkouts: a customer pays for what is in a cart.

A checkout is of the cart's own actor, so that nothing can happen to the cart behind its back. It is
one **attempt**: the provider is asked for the money once, and never again for this attempt, since
it could not tell a repetition from a second purchase. What it did not say in time is *unknown*,
until it says so late or an operator has found out.

An attempt is named by the seq of its `CheckoutBegun`.
"""

from typing import Final, Literal, TypeAlias

from allocator.domain.orders import Held
from allocator.domain.values import Message

CHECKOUTS_MAX: Final = 20
"""Of one cart. Each that fails keeps the cart a little longer, which must not go on for ever."""

Outcome: TypeAlias = Literal["paid", "failed", "unknown"]
"""What became of a request for money; `unknown` is everything that nobody can be sure of."""

CheckoutStatus: TypeAlias = Literal["capturing", "paid", "failed", "unknown", "refund_due"]


class Item(Message, frozen=True, kw_only=True):
    """What is paid for, at a price that does not change any more.

    Attributes:
        pool: Whose units they are.
        price: Of one unit, in minor units of the checkout's currency.
    """

    pool: int
    warehouse: str
    product: str
    quantity: int
    price: int


class Charge(Message, frozen=True, kw_only=True):
    """What the provider is to be asked for, once.

    Attributes:
        attempt: Names the checkout within its cart.
        amount: In minor units.
        client_id: Who is to pay, as the provider knows them.
        deadline_ms: After that nobody waits for the answer any more, milliseconds of Unix time.
    """

    attempt: int
    amount: int
    currency: str
    client_id: int
    deadline_ms: int


# Commands


class BeginCheckout(Message, frozen=True, tag=True, kw_only=True):
    """Freeze a cart and its prices, and have the provider asked for the money.

    Attributes:
        seen: The version at which the cart was read to find the prices; it must not have changed.
        prices: (pool, price of one unit in minor units), of every line.
        client_id: The customer, as a number.
        timeout_ms: For how long the provider may take.
    """

    seen: int
    prices: tuple[tuple[int, int], ...]
    currency: str
    client_id: int
    timeout_ms: int


class PaymentHeard(Message, frozen=True, tag=True, kw_only=True):
    """Say what became of an attempt's request; may come late, twice, and from another worker.

    Attributes:
        reference: The provider's name for the charge, if it gave one.
        detail: What else there is to know, for operators.
    """

    attempt: int
    outcome: Outcome
    reference: str | None = None
    detail: str | None = None


class ResolveCheckout(Message, frozen=True, tag=True, kw_only=True):
    """Settle an attempt of which nobody knew what had become: an operator has found out."""

    attempt: int
    outcome: Literal["paid", "failed"]
    reference: str | None = None


# Events


class CheckoutBegun(Message, frozen=True, kw_only=True):
    """The cart is frozen, and the provider is going to be asked for the money.

    Attributes:
        items: Ascending by pool.
        amount: Of all items, in minor units.
    """

    items: tuple[Item, ...]
    amount: int
    currency: str
    client_id: int
    deadline_ms: int


class CheckoutPaid(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The money is there: what the cart held is order `seq` of this event from now on.

    Attributes:
        held: What is held for each item of the checkout.
        resolved: Whether an operator said so, not the provider.
    """

    attempt: int
    held: tuple[Held, ...]
    reference: str | None = None
    detail: str | None = None
    resolved: bool = False


class CheckoutFailed(Message, frozen=True, kw_only=True, omit_defaults=True):
    """No money was taken; the cart stays as it was, for a while.

    Attributes:
        resolved: Whether an operator said so, not the provider.
    """

    attempt: int
    reference: str | None = None
    detail: str | None = None
    resolved: bool = False


class CheckoutUnknown(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody knows whether money was taken; everything stays as it is until somebody does."""

    attempt: int
    reference: str | None = None
    detail: str | None = None


class RefundDue(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Money was taken for an attempt that had been settled as failed; it is to be given back."""

    attempt: int
    reference: str | None = None
    detail: str | None = None


CheckoutEvent: TypeAlias = (
    CheckoutBegun | CheckoutPaid | CheckoutFailed | CheckoutUnknown | RefundDue
)


# Refusals


class CartChanged(Message, frozen=True, tag=True, kw_only=True):
    """Something has happened to the cart since it was read for this; read it again."""

    version: int


class CartChanging(Message, frozen=True, tag=True, kw_only=True):
    """So many changes of the cart still wait for an answer."""

    edits: int


class CartEmpty(Message, frozen=True, tag=True):
    """There is nothing in the cart to pay for."""


class CheckoutUnderWay(Message, frozen=True, tag=True, kw_only=True):
    """An attempt to pay for the cart is not settled; until then nothing about the cart changes."""

    attempt: int


class TooManyCheckouts(Message, frozen=True, tag=True, kw_only=True):
    """So many attempts to pay for the cart have failed that there will be no more."""

    limit: int


class AmountTooLarge(Message, frozen=True, tag=True, kw_only=True):
    """The items cost more than can be told to a provider without rounding, in minor units."""

    amount: int
    limit: int


class NotUnknown(Message, frozen=True, tag=True, kw_only=True):
    """Only an attempt of which nobody knows what became can be resolved.

    Attributes:
        status: What it is; "" if there is no such attempt.
    """

    status: str


CheckoutRefusal: TypeAlias = (
    CartChanged
    | CartChanging
    | CartEmpty
    | CheckoutUnderWay
    | TooManyCheckouts
    | AmountTooLarge
    | NotUnknown
)


class Checkout(Message, frozen=True, kw_only=True, array_like=True):
    """An attempt as it stands.

    Attributes:
        attempt: The seq of its first event.
        begun: What it said.
        begun_at_ms: When; `changed_at_ms`, when its status last changed.
        changed: The seq of the event that did that; the order's number, if it was paid.
        resolved: Whether an operator settled it.
    """

    attempt: int
    begun: CheckoutBegun
    begun_at_ms: int
    changed_at_ms: int
    changed: int
    status: CheckoutStatus = "capturing"
    reference: str | None = None
    detail: str | None = None
    resolved: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the cart is frozen because of it."""
        return self.status in {"capturing", "unknown"}
