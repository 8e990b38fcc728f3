"""Events as the journal stores them: a kind, a version and a JSON body.

The tables below are the storage format. A kind is never renamed or reused; an event whose fields or
meaning change gets a new version, and the step from the old one (`upcast`) stays for as long as
journals do.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from allocator.domain.api_keys import API_KEY_CREATED, API_KEY_REVOKED
from allocator.domain.catalogue import PRODUCT_PUT, WAREHOUSE_PUT
from allocator.domain.messages import (
    Event,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.upcast import UPCASTERS, decoders_of
from allocator.domain.webhooks import WEBHOOK_DELETED, WEBHOOK_PUT, WEBHOOK_ROTATED

KINDS: Final[dict[type[Event], str]] = {
    StockReceived: "stock_received",
    OrderPlaced: "order_placed",
    OrderDispatched: "order_dispatched",
    OrderCancelled: "order_cancelled",
    LotExpired: "lot_expired",
}
"""What a pool journals."""

VERSIONS: Final[dict[str, int]] = {
    "stock_received": 1,
    "order_placed": 1,
    "order_dispatched": 1,
    "order_cancelled": 1,
    "lot_expired": 1,
    WAREHOUSE_PUT: 1,
    PRODUCT_PUT: 1,
    API_KEY_CREATED: 1,
    API_KEY_REVOKED: 1,
    WEBHOOK_PUT: 1,
    WEBHOOK_ROTATED: 1,
    WEBHOOK_DELETED: 1,
}
"""Which version of each stored kind is written today, those of tables included; all older ones
are read as well. Read models are made in SQL: see ADR 0013 before you count one up."""

_encoder = msgspec.json.Encoder()
_decoders: Final = decoders_of(KINDS, versions=VERSIONS, upcasters=UPCASTERS)


class UnknownEventError(ValueError):
    """A stored event of a kind or version that this release does not know.

    The journal was written by a newer release: run that one. Nothing is guessed.
    """

    def __init__(self, *, kind: str, version: int) -> None:
        super().__init__(f"the journal holds an event {kind!r} of unknown version {version}")
        self.kind = kind
        self.version = version


def encode_event(event: Event) -> bytes:
    """Return the JSON body of `event`; the same event always gives the same bytes."""
    return _encoder.encode(event)


def decode_event(*, kind: str, version: int, body: str | bytes) -> Event:
    """Return the event that `encode_event` stored, in this release or in any before it.

    Raises:
        UnknownEventError: Written by a newer release.
        msgspec.ValidationError: The body was tampered with.
    """
    decode = _decoders.get((kind, version))
    if decode is None:
        raise UnknownEventError(kind=kind, version=version)
    return decode(body)


def decoder_of(*, kind: str, version: int) -> Callable[[str | bytes], Event]:
    """Return what reads bodies of a kind and version, for whoever reads many.

    Raises:
        UnknownEventError: Written by a newer release.
    """
    decode = _decoders.get((kind, version))
    if decode is None:
        raise UnknownEventError(kind=kind, version=version)
    return decode
