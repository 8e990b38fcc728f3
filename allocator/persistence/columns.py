"""A batch as the parameters of one statement: a string a column instead of an array.

The driver encodes an array element by element, for 2 µs a row. Joined strings, which PostgreSQL
takes apart again, cost a quarter of that. What is joined can hold no unit separator: JSON and
header values have no control characters.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from allocator.domain.records import DIGEST_BYTES, Batch

SEPARATOR: Final = "\x1f"
"""U+001F, the unit separator of ASCII; `E'\\x1f'` in SQL."""

_NO_DIGEST: Final = bytes(DIGEST_BYTES)
_encode: Final = msgspec.json.Encoder().encode

Columns: TypeAlias = tuple[str | bytes | list[int] | list[str] | list[int | None], ...]


def columns_of(batch: Batch) -> Columns:
    """Return parameters 3 to 14 of `append.sql`."""
    wakes = batch.wakes
    if batch.births:
        wakes = {each: at_ms for each, at_ms in wakes.items() if each not in batch.births}
    return (
        _array(batch.actor_ids),
        _array(batch.seqs),
        _array(batch.ats_ms),
        joined(batch.kinds),
        _array(batch.versions),
        joined(batch.bodies),
        _digests(batch.digests),
        joined(batch.principals),
        joined([key or "" for key in batch.idempotency_keys]),
        _digests([digest or _NO_DIGEST for digest in batch.request_digests]),
        list(wakes),
        list(wakes.values()),
    )


def births_of(batch: Batch) -> Columns:
    """Return parameters 17 to 19 of `append.sql`."""
    return (
        list(batch.births),
        list(batch.births.values()),
        [batch.wakes.get(actor_id) for actor_id in batch.births],
    )


def joined(texts: Sequence[str]) -> str:
    """Return all texts in one; an empty one and none at all look the same."""
    text = SEPARATOR.join(texts)
    assert text.count(SEPARATOR) == max(0, len(texts) - 1), "a text holds a control character"
    return text


def _digests(digests: list[bytes]) -> bytes:
    together = b"".join(digests)
    assert len(together) == len(digests) * DIGEST_BYTES, "a digest has another length"
    return together


def _array(numbers: list[int]) -> str:
    """Return numbers as PostgreSQL spells an array."""
    return "{" + _encode(numbers)[1:-1].decode() + "}"
