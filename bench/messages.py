"""The JSON that every contender takes and gives: one order, of one line."""

import msgspec

WAREHOUSE = "main"
HOT_PRODUCT = "hot"
PLENTY_UNITS = 1_000_000_000
"""Stock that no run can sell out: the largest quantity that one stock may have."""

PLACES = 500
"""Locations from which, and as many to which, moves go."""


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer sends."""

    product: str
    warehouse: str
    quantity: int = 1
    customer: str | None = None


class StockPart(msgspec.Struct, frozen=True):
    """The units of a line that came from one stock."""

    id: str
    quantity: int


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One product of an order."""

    product: str
    warehouse: str
    quantity: int
    stocks: list[StockPart] = []


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer gets."""

    id: str
    status: str
    created_at: str
    lines: list[OrderLine]
    customer: str | None = None


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one product at one warehouse, in units."""

    available: int
    ordered: int
    held: int
    on_hand: int
    unallocatable: dict[str, int] = {}


def product_name(number: int) -> str:
    """Return the sku of one of many products."""
    return f"p{number:04}"


def place_names(end: str) -> list[str]:
    """Return the codes of the locations at an end of moves, `from` or `to`, ascending."""
    return [f"{end}-{number:03}" for number in range(PLACES)]
