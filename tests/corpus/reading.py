"""The corpus as it lies on disk: rows that releases wrote, and what became of them.

`<release>.ndjson` has one row of the journal a line, by actor and seq; `<release>.json` has, for
every actor, its final state in words that do not depend on how the code keeps it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.pool import Pool
from allocator.domain.records import Record
from allocator.domain.rules import wake_at

CORPUS: Final = Path(__file__).parent


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the journal; `body` is verbatim, digests are in hexadecimal."""

    actor_id: int
    seq: int
    at_ms: int
    kind: str
    version: int
    body: str
    digest: str
    principal: str
    idempotency_key: str | None
    request_digest: str | None


class FinalLot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot that still has units on hand."""

    seq: int
    quantity: int
    available: int
    ordered: int
    expired: int
    lot: str | None
    expires_at_ms: int | None
    received_at_ms: int
    reference: str | None


class FinalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An open order; `picks` are (seq of the lot, units)."""

    seq: int
    picks: tuple[tuple[int, int], ...]


class FinalPool(msgspec.Struct, frozen=True, kw_only=True, tag="pool", tag_field="actor"):
    """What a pool's rows add up to; lots and orders ascend by seq."""

    key: str
    version: int
    last_at_ms: int
    wake_at_ms: int | None
    available: int
    ordered: int
    held: int
    expired: int
    on_hand: int
    lots: list[FinalLot]
    orders: list[FinalOrder]


class FinalEntry(msgspec.Struct, frozen=True, kw_only=True, tag="entry", tag_field="actor"):
    """What an entry of an ordinary table came to contain: the body of its last row."""

    key: str
    kind: Literal["warehouse", "product", "api_key", "webhook"]
    version: int
    contents: dict[str, str | dict[str, str | int] | list[str] | None]


FinalState: TypeAlias = FinalPool | FinalEntry


def releases() -> list[str]:
    """Return the releases of which there are rows, in order."""
    return sorted(path.stem for path in CORPUS.glob("*.ndjson"))


def records_in(release: str) -> dict[int, list[Record]]:
    """Return what a release wrote, by actor, ascending by seq."""
    records: dict[int, list[Record]] = {}
    for line in (CORPUS / f"{release}.ndjson").read_bytes().splitlines():
        record = _record_of(msgspec.json.decode(line, type=Row))
        records.setdefault(record.actor_id, []).append(record)
    return records


def finals_in(release: str) -> Mapping[int, FinalState]:
    """Return what became of its actors, by their ids."""
    text = (CORPUS / f"{release}.json").read_bytes()
    return msgspec.json.decode(text, type=dict[int, FinalState])


def row_of(record: Record) -> Row:
    """Return a record as the corpus keeps it."""
    asked = record.request_digest
    return Row(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        kind=record.kind,
        version=record.version,
        body=record.body,
        digest=record.digest.hex(),
        principal=record.principal,
        idempotency_key=record.idempotency_key,
        request_digest=None if asked is None else asked.hex(),
    )


def final_pool(key: str, pool: Pool) -> FinalPool:
    """Return a pool's state in the words of the corpus."""
    balance = pool.balance()
    return FinalPool(
        key=key,
        version=pool.version,
        last_at_ms=pool.last_at_ms,
        wake_at_ms=wake_at(pool),
        available=balance.available,
        ordered=balance.ordered,
        held=balance.held,
        expired=balance.expired,
        on_hand=balance.on_hand,
        lots=[
            FinalLot(
                seq=lot.seq,
                quantity=lot.quantity,
                available=lot.available,
                ordered=lot.ordered,
                expired=lot.expired,
                lot=lot.code,
                expires_at_ms=lot.expires_at_ms,
                received_at_ms=lot.received_at_ms,
                reference=lot.reference,
            )
            for _, lot in sorted(pool.lots.items())
        ],
        orders=[FinalOrder(seq=seq, picks=picks) for seq, picks in pool.orders],
    )


def _record_of(row: Row) -> Record:
    asked = row.request_digest
    return Record(
        actor_id=row.actor_id,
        seq=row.seq,
        at_ms=row.at_ms,
        kind=row.kind,
        version=row.version,
        body=row.body,
        digest=bytes.fromhex(row.digest),
        principal=row.principal,
        idempotency_key=row.idempotency_key,
        request_digest=None if asked is None else bytes.fromhex(asked),
    )
