"""What happens to carts and their checkouts, in words."""

from collections.abc import Callable

from allocator.domain.carts import (
    CartClosed,
    CartEnded,
    CartExpired,
    CartOpened,
    LineHeld,
    LineRefused,
    LineWanted,
)
from allocator.domain.checkouts import (
    CheckoutBegun,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutUnknown,
    RefundDue,
)
from allocator.journal.happenings import Meaning
from allocator.journal.holds_in_words import picked


def cart_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    """Return what a row says, or None if it is about something else.

    Args:
        meaning: Of the row.
        plain: Makes a text that came from a client safe to show.
    """
    match meaning:
        case CartOpened(customer=customer):
            said = "opened" if customer is None else f"opened for {plain(customer)}"
        case LineWanted(line=line):
            where = f"{plain(line.product)}@{plain(line.warehouse)}"
            said = f"to hold {line.quantity} of {where}"
        case LineHeld(edit=edit, picks=picks):
            said = f"#{edit} done: {picked(picks) or 'nothing'}"
        case LineRefused(edit=edit, requested=requested, available=available):
            said = f"#{edit} not done: {available} of {requested} available"
        case CartClosed():
            said = "closed by its customer"
        case CartExpired():
            said = "expired"
        case CartEnded():
            said = "ended: everything was let go"
        case _:
            return _checkout_in_words(meaning, plain=plain)
    return said


def _checkout_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    match meaning:
        case CheckoutBegun(amount=amount, currency=currency, client_id=client):
            return f"to be paid by {client}: {amount} minor units of {currency}"
        case CheckoutPaid():
            said = "paid"
        case CheckoutFailed():
            said = "not paid"
        case CheckoutUnknown():
            said = "nobody knows whether it is paid"
        case RefundDue():
            said = "paid all the same: to be given back"
        case _:
            return None
    said = f"#{meaning.attempt} {said}"
    if not isinstance(meaning, CheckoutUnknown | RefundDue) and meaning.resolved:
        said += ", says an operator"
    if meaning.reference is not None:
        said += f", reference {plain(meaning.reference)}"
    return said if meaning.detail is None else f"{said}: {plain(meaning.detail)}"
