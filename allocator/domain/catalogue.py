"""What is told apart: warehouses, locations, products, and the pools where they meet.

Names that route (codes, skus) are fixed at creation; everything else may change.
"""

import re
from typing import Final

import msgspec

CODE_MAX: Final = 64
_CODE: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}\Z")

WAREHOUSE_PUT: Final = "warehouse_put"
LOCATION_PUT: Final = "location_put"
PRODUCT_PUT: Final = "product_put"
"""Kinds of the events that such a thing journals; their body is the new contents."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """An amount in minor units (cents) of an ISO 4217 currency."""

    amount: int
    currency: str


class Warehouse(msgspec.Struct, frozen=True, kw_only=True):
    """A place that holds stock."""

    code: str
    name: str


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place inside a warehouse; where stock is concerned it is a warehouse of its own.

    Attributes:
        code: Of the same names as those of warehouses.
        warehouse: Inside which it is; fixed for ever, like `single_product`.
        single_product: Whether it holds one product at a time.
    """

    code: str
    name: str
    warehouse: str
    single_product: bool


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored."""

    sku: str
    name: str
    price: Price | None = None


class PoolRef(msgspec.Struct, frozen=True, gc=False):
    """Which actor keeps the stock of which product at which warehouse.

    Attributes:
        product: "" if that is not known: of a location that holds one product at a time, which was
            found by an id.
        told: What commands have to say of the product: at such a location this one, elsewhere None.
    """

    actor_id: int
    warehouse: str
    product: str
    told: str | None = None


def is_code(text: str) -> bool:
    """Return whether `text` may name a warehouse or a product.

    `.` and `..` may not: in a path they are directions, and clients resolve them (RFC 3986 §5.2.4).
    """
    return _CODE.match(text) is not None


def pool_key(warehouse: str, product: str) -> str:
    """Return the key of a pool's actor; it never changes, for its shard depends on it."""
    return f"pool:{warehouse}/{product}"


def location_key(code: str) -> str:
    """Return the key of the one pool of a location that holds one product at a time."""
    return pool_key(code, "")


def warehouse_key(code: str) -> str:
    """Return the key of the actor of a warehouse or a location."""
    return f"warehouse:{code}"


def product_key(sku: str) -> str:
    """Return the key of a product's actor."""
    return f"product:{sku}"
