"""What is told apart: warehouses, products, and the pools where the two meet.

Names that route (codes, skus) are fixed at creation; everything else may change.
"""

import re
from typing import Final

import msgspec

CODE_MAX: Final = 64
_CODE: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}\Z")

WAREHOUSE_PUT: Final = "warehouse_put"
PRODUCT_PUT: Final = "product_put"
"""Kinds of the events that a warehouse and a product journal; their body is the new contents."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """An amount in minor units (cents) of an ISO 4217 currency."""

    amount: int
    currency: str


class Warehouse(msgspec.Struct, frozen=True, kw_only=True):
    """A place that holds stock."""

    code: str
    name: str


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored."""

    sku: str
    name: str
    price: Price | None = None


class PoolRef(msgspec.Struct, frozen=True, gc=False):
    """Which actor keeps the stock of which product at which warehouse."""

    actor_id: int
    warehouse: str
    product: str


def is_code(text: str) -> bool:
    """Return whether `text` may name a warehouse or a product.

    `.` and `..` may not: in a path they are directions, and clients resolve them (RFC 3986 §5.2.4).
    """
    return _CODE.match(text) is not None


def pool_key(warehouse: str, product: str) -> str:
    """Return the key of a pool's actor; it never changes, for its shard depends on it."""
    return f"pool:{warehouse}/{product}"


def warehouse_key(code: str) -> str:
    """Return the key of a warehouse's actor."""
    return f"warehouse:{code}"


def product_key(sku: str) -> str:
    """Return the key of a product's actor."""
    return f"product:{sku}"
