"""Bodies of older versions, step by step to what today's code reads.

Two rules: a step is pure (the body alone decides what comes out: no clock, no other row), and one
row stays one event. A row's seq is its event's address and its pool's version, so that an event
cannot become two, nor none.

A version that was released keeps its step for as long as journals do. See ADR 0013.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar

import msgspec

Upcaster: TypeAlias = Callable[[str | bytes], bytes]
"""From the JSON body of one version to that of the next one.

Raises `msgspec.ValidationError` when the body was tampered with.
"""

Upcasters: TypeAlias = Mapping[tuple[str, int], Upcaster]
"""Steps by (kind, the version they start from)."""

Old = TypeVar("Old", bound=msgspec.Struct)
T = TypeVar("T")


def step(shape: type[Old], change: Callable[[Old], msgspec.Struct]) -> Upcaster:
    """Return the step that reads a body as the older `shape` and writes what it was changed to.

    Args:
        shape: What the older release wrote, field by field, under names of its own time.
        change: Pure. Returns what the next version would have been: the event itself if that is
            today's, or the shape that the next step reads.
    """
    decode, encode = msgspec.json.Decoder(shape).decode, msgspec.json.Encoder().encode

    def upcast(body: str | bytes) -> bytes:
        return encode(change(decode(body)))

    return upcast


def decoders_of(
    kinds: Mapping[type[T], str], *, versions: Mapping[str, int], upcasters: Upcasters
) -> dict[tuple[str, int], Callable[[str | bytes], T]]:
    """Return, by kind and version, how each body that may be stored is read.

    Today's version is read without a detour, an older one through all the steps from it.

    Args:
        kinds: The events of today's code.
        versions: What it writes, by kind; counted from 1.
        upcasters: From every older version of each of these kinds, and from no other.
    """
    decoders: dict[tuple[str, int], Callable[[str | bytes], T]] = {}
    for event_type, kind in kinds.items():
        present = versions[kind]
        assert present >= 1, f"{kind!r} has no version"
        decode: Callable[[str | bytes], T] = msgspec.json.Decoder(event_type).decode
        decoders[kind, present] = decode
        for version in range(present - 1, 0, -1):
            upcast = upcasters.get((kind, version))
            assert upcast is not None, f"no step leads on from {kind!r} of version {version}"
            decode = decoders[kind, version] = _after(upcast, decode)
    stray = [name for name in upcasters if name not in decoders or name[1] >= versions[name[0]]]
    assert not stray, f"steps from what is not an older version: {stray}"
    return decoders


def _after(upcast: Upcaster, decode: Callable[[str | bytes], T]) -> Callable[[str | bytes], T]:
    return lambda body: decode(upcast(body))


def unchanged(body: str | bytes) -> bytes:
    """Lead on from a version to one that has more fields, all of which may be absent."""
    return body.encode() if isinstance(body, str) else body


UPCASTERS: Final[Upcasters] = {
    # Of a location that holds one product at a time, the second version says which it was.
    ("stock_received", 1): unchanged,
    ("order_placed", 1): unchanged,
    ("order_dispatched", 1): unchanged,
    ("order_cancelled", 1): unchanged,
    ("lot_expired", 1): unchanged,
    # A process that lets go may give back what it held.
    ("process_let_go", 1): unchanged,
    # Of a fed pool, the next versions say which of the units that came stand for missing ones.
    ("order_cancelled", 2): unchanged,
    ("process_let_go", 2): unchanged,
    ("units_held", 1): unchanged,
    ("units_taken", 1): unchanged,
    # What a warehouse system has less may be units past their date.
    ("lot_reconciled", 1): unchanged,
}
"""Every step that ever was; none is ever removed or changed."""
