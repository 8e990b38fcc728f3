"""An actor's state as bytes, and back: what recovery starts from instead of the first event."""

from typing import Final

import msgspec

from allocator.domain.carts import Cart
from allocator.domain.fed import FedImage
from allocator.domain.feeds import Feed
from allocator.domain.moves import Move
from allocator.domain.open_orders import OpenOrders
from allocator.domain.orders import Order
from allocator.domain.pool import Lot, Pool
from allocator.domain.transit import Processes, Trace
from allocator.domain.values import Picks

SCHEMA_VERSION: Final = 3
"""Snapshots of another version are ignored: the journal can always make new ones. Floors cannot be
made again: whoever counts this up keeps reading those of all versions before (ADR 0014)."""

READABLE: Final = frozenset({1, 2, 3})
"""Of what stands for rows that were pruned, which no journal can make again: all that ever were."""


class _PoolImage(msgspec.Struct, array_like=True):
    version: int
    last_at_ms: int
    lots: list[Lot]
    pages: list[tuple[int, bytes]]
    spans: dict[int, Picks]
    product: str | None = None
    traces: dict[int, Trace] = {}
    released: dict[int, int] = {}
    fed: FedImage | None = None
    repicked: int = 0


_encoder = msgspec.msgpack.Encoder()
_pools = msgspec.msgpack.Decoder(_PoolImage)
_moves = msgspec.msgpack.Decoder(Move)
_orders = msgspec.msgpack.Decoder(Order)
_carts = msgspec.msgpack.Decoder(Cart)
_feeds = msgspec.msgpack.Decoder(Feed)


def dump_pool(pool: Pool) -> bytes:
    """Return the whole state; equal pools give equal bytes."""
    pages, spans = pool.orders.dump()
    traces, released = ({}, {}) if pool.processes is None else pool.processes.dump()
    return _encoder.encode(
        _PoolImage(
            version=pool.version,
            last_at_ms=pool.last_at_ms,
            lots=[pool.lots[seq] for seq in sorted(pool.lots)],
            pages=pages,
            spans=dict(sorted(spans.items())),
            product=pool.product,
            traces=traces,
            released=released,
            fed=None if pool.fed is None else pool.fed.dump(),
            repicked=pool.repicked,
        )
    )


def load_pool(state: bytes) -> Pool:
    """Return the pool that `dump_pool` wrote.

    Raises:
        msgspec.DecodeError: Not such bytes; the caller falls back to an older snapshot.
    """
    image = _pools.decode(state)
    pool = Pool()
    pool.version = image.version
    pool.last_at_ms = image.last_at_ms
    pool.orders = OpenOrders.load(image.pages, image.spans)
    pool.product = image.product
    if image.traces or image.released:
        pool.processes = Processes.load(image.traces, image.released)
    pool.fed = None if image.fed is None else image.fed.load()
    pool.repicked = image.repicked
    for lot in image.lots:
        pool.put(lot)
    return pool


def dump_process(process: Move | Order | Cart | Feed) -> bytes:
    """Return the whole state; equal ones give equal bytes."""
    return _encoder.encode(process)


def load_move(state: bytes) -> Move:
    """Return the move that `dump_process` wrote.

    Raises:
        msgspec.DecodeError: Not such bytes; the caller falls back to an older snapshot.
    """
    return _moves.decode(state)


def load_order(state: bytes) -> Order:
    """Return the order that `dump_process` wrote; raises likewise."""
    return _orders.decode(state)


def load_cart(state: bytes) -> Cart:
    """Return the cart that `dump_process` wrote; raises likewise."""
    return _carts.decode(state)


def load_feed(state: bytes) -> Feed:
    """Return the feed that `dump_process` wrote; raises likewise."""
    return _feeds.decode(state)
