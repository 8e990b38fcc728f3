"""A pool's state as bytes, and back: what recovery starts from instead of the first event."""

from typing import Final

import msgspec

from allocator.domain.messages import Picks
from allocator.domain.open_orders import OpenOrders
from allocator.domain.pool import Lot, Pool

SCHEMA_VERSION: Final = 1
"""Snapshots of another version are ignored: the journal can always make new ones. Floors cannot be
made again: whoever counts this up keeps reading those of all versions before (ADR 0014)."""


class _PoolImage(msgspec.Struct, array_like=True):
    version: int
    last_at_ms: int
    lots: list[Lot]
    pages: list[tuple[int, bytes]]
    spans: dict[int, Picks]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_PoolImage)


def dump_pool(pool: Pool) -> bytes:
    """Return the whole state; equal pools give equal bytes."""
    pages, spans = pool.orders.dump()
    return _encoder.encode(
        _PoolImage(
            version=pool.version,
            last_at_ms=pool.last_at_ms,
            lots=[pool.lots[seq] for seq in sorted(pool.lots)],
            pages=pages,
            spans=dict(sorted(spans.items())),
        )
    )


def load_pool(state: bytes) -> Pool:
    """Return the pool that `dump_pool` wrote.

    Raises:
        msgspec.DecodeError: Not such bytes; the caller falls back to an older snapshot.
    """
    image = _decoder.decode(state)
    pool = Pool()
    pool.version = image.version
    pool.last_at_ms = image.last_at_ms
    pool.orders = OpenOrders.load(image.pages, image.spans)
    for lot in image.lots:
        pool.put(lot)
    return pool
