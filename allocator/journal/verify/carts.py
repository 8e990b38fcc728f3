"""What is compared of carts: their rows, and those that lists have of them."""

from typing import Final

import msgspec

from allocator.domain.laws_of_carts import unlawful_of_cart
from allocator.domain.rows import CartRow
from allocator.journal.verify.processes import Sort
from allocator.persistence.windows import Row

_cart: Final = msgspec.json.Decoder(CartRow).decode


def _found(actor: Row) -> object:
    try:
        return _cart(actor["cart_row"])
    except msgspec.MsgspecError:
        return None


def _is_listed(actor: Row) -> bool:
    return actor["cart_row"] is not None


CARTS: Final = Sort(
    kind="cart",
    fault="cart",
    table="carts",
    is_listed=_is_listed,
    unlawful=unlawful_of_cart,
    expected=CartRow.of,
    found=_found,
)
