"""Why a moment of a pool's past cannot be shown."""

import msgspec


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """It lies before the oldest one of which the journal is kept, which is this."""

    version: int
    at_ms: int


class TooFarBack(msgspec.Struct, frozen=True, kw_only=True):
    """More events lie between it and the nearest snapshot than are replayed for one request."""

    events: int
    limit: int
