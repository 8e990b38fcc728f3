"""What is compared of orders of several lines: their rows, and those that lists have of them."""

from typing import Final

import msgspec

from allocator.domain.laws_of_orders import unlawful_of_order
from allocator.domain.rows import ProcessOrderRow
from allocator.journal.verify.processes import Sort
from allocator.persistence.windows import Row

_decode: Final = msgspec.json.Decoder(ProcessOrderRow).decode


def _found(actor: Row) -> object:
    try:
        return _decode(actor["order_row"])
    except msgspec.MsgspecError:
        return None


def _is_listed(actor: Row) -> bool:
    return actor["order_row"] is not None


ORDERS: Final = Sort(
    kind="order",
    fault="process_order",
    table="process_orders",
    is_listed=_is_listed,
    unlawful=unlawful_of_order,
    expected=ProcessOrderRow.of,
    found=_found,
)
