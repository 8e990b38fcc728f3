"""Requests of an event as bytes, and the shapes of what comes back."""

import msgspec

from bench.event_history import RESOLVE, Edit, Numbers, Ordered, Payment, Visit
from bench.messages import WAREHOUSE
from bench.mixes import request_bytes


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """A cart, as far as its visitor looks."""

    id: str
    status: str
    checkout: str | None = None


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to pay."""

    id: str
    status: str
    amount: int
    order: str | None = None
    reference: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order."""

    product: str
    quantity: int


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order."""

    id: str
    status: str
    customer: str
    lines: list[Line]


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of a balance."""

    version: int
    available: int
    ordered: int
    held: int
    on_hand: int

    @property
    def numbers(self) -> Numbers:
        """The numbers that have to add up."""
        return self.available, self.ordered, self.held, self.on_hand


class ShortLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line for which there was too little."""

    product: str
    requested: int
    available: int


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was not done."""

    type: str
    detail: str
    requested: int | None = None
    available: int | None = None
    lines: list[ShortLine] = []


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What was bought, at the price of one unit."""

    product: str
    quantity: int
    price: int


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """What the list of purchases says of one."""

    customer: str
    amount: int
    currency: str
    items: list[Item]


def cart_request(visit: Visit) -> bytes:
    """Open a cart."""
    return _post("/carts", {"customer": visit.customer}, key=visit.opened.key)


def edit_request(cart: str, edit: Edit) -> bytes:
    """Have so many units in a cart."""
    path = f"/carts/{cart}/lines/{WAREHOUSE}/{edit.product}"
    return request_bytes(path, msgspec.json.encode({"quantity": edit.quantity}), method="PUT")


def pay_request(cart: str, payment: Payment) -> bytes:
    """Begin to pay for a cart."""
    return request_bytes(f"/carts/{cart}/checkout", b"", key=payment.key)


def close_request(cart: str) -> bytes:
    """Give a cart up."""
    return request_bytes(f"/carts/{cart}", b"", method="DELETE")


def checkout_request(checkout: str, *, wait_s: int = 0) -> bytes:
    """See what has become of an attempt to pay, waiting so long for that."""
    return get_request(f"/checkouts/{checkout}?wait={wait_s}")


def resolve_request(checkout: str, *, outcome: str, reference: str | None) -> bytes:
    """Settle an attempt of which nobody knew what had become."""
    body: dict[str, object] = {"outcome": outcome}
    if reference is not None:
        body["reference"] = reference
    return _post(f"/checkouts/{checkout}/resolve", body, key=f"{RESOLVE}{checkout}")


def order_request(order: Ordered) -> bytes:
    """Order one product, or several."""
    lines = [
        {"product": product, "warehouse": WAREHOUSE, "quantity": quantity}
        for product, quantity in order.lines.items()
    ]
    body: dict[str, object] = {"lines": lines} if len(lines) > 1 else dict(lines[0])
    return _post("/orders", body | {"customer": order.customer}, key=order.key)


def send_request(order: str) -> bytes:
    """Have all of an order leave."""
    return request_bytes(f"/orders/{order}/dispatch", b"")


def get_request(path: str) -> bytes:
    """Read something."""
    return request_bytes(path, b"", method="GET")


def balance_request(product: str) -> bytes:
    """Read a balance."""
    return get_request(f"/stock-balances/{WAREHOUSE}/{product}")


def _post(path: str, body: dict[str, object], *, key: str) -> bytes:
    return request_bytes(path, msgspec.json.encode(body), key=key)
