"""Events as the journal stores them: a kind, a version and a JSON body.

The table below is the storage format. A kind is never renamed or reused; an event whose meaning
changes gets a new version, and its old decoder stays for as long as journals do.
"""

from typing import Final

import msgspec

from allocator.domain.messages import (
    Event,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)

VERSION: Final = 1

KINDS: Final[dict[type[Event], str]] = {
    StockReceived: "stock_received",
    OrderPlaced: "order_placed",
    OrderDispatched: "order_dispatched",
    OrderCancelled: "order_cancelled",
    LotExpired: "lot_expired",
}

_encoder = msgspec.json.Encoder()
_decoders: Final = {
    (kind, VERSION): msgspec.json.Decoder(event_type).decode for event_type, kind in KINDS.items()
}


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
    """Return the event that `encode_event` stored.

    Raises:
        UnknownEventError: Written by a newer release.
        msgspec.ValidationError: The body was tampered with.
    """
    decode = _decoders.get((kind, version))
    if decode is None:
        raise UnknownEventError(kind=kind, version=version)
    return decode(body)
