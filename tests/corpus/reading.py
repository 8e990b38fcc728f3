"""The corpus as it lies on disk: rows that releases wrote, and what became of them.

`<release>.ndjson` has one row of the journal a line, by actor and seq; `<release>.json` has, for
every actor, its final state in words that do not depend on how the code keeps it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.kinds import intents, wake_at
from allocator.domain.moves import Move
from allocator.domain.pool import Pool
from allocator.domain.records import Record
from allocator.domain.transfers import Transfer

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


class FinalTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """Units on their way; `origin` is (actor, seq) of the lot that they were part of."""

    quantity: int
    origin: tuple[int, int]
    code: str | None
    expires_at_ms: int | None
    received_at_ms: int
    reference: str | None


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
    origin: tuple[int, int] | None = None


class FinalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An open order; `picks` are (seq of the lot, units)."""

    seq: int
    picks: tuple[tuple[int, int], ...]


class FinalTrace(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool remembers of a process; `refused` is units requested and available, and lots."""

    process: int
    step: int
    expects: bool
    sent: list[FinalTransfer] | None
    refused: tuple[int, int, int] | None
    taking: int
    taken: int


class FinalPool(msgspec.Struct, frozen=True, kw_only=True, tag="pool", tag_field="actor"):
    """What a pool's rows add up to; lots and orders ascend by seq, processes by their number.

    Attributes:
        processes: That have not let go, and `released`, that have, each with the time.
    """

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
    product: str | None = None
    processes: list[FinalTrace] = []
    released: list[tuple[int, int]] = []


class FinalMove(msgspec.Struct, frozen=True, kw_only=True, tag="move", tag_field="actor"):
    """What a move has come to, and what it still asks: (number, actor, tag of the command)."""

    key: str
    version: int
    last_at_ms: int
    wake_at_ms: int | None
    status: str
    requested_at_ms: int
    product: str
    source: int
    destination: int
    from_code: str
    to_code: str
    quantity: int
    lots: list[FinalTransfer]
    reason: dict[str, str | int] | None
    asks: list[tuple[int, int, str]]


class FinalEntry(msgspec.Struct, frozen=True, kw_only=True, tag="entry", tag_field="actor"):
    """What an entry of an ordinary table came to contain: the body of its last row."""

    key: str
    kind: Literal["warehouse", "product", "api_key", "webhook"]
    version: int
    contents: dict[str, str | bool | dict[str, str | int] | list[str] | None]


FinalState: TypeAlias = FinalPool | FinalMove | FinalEntry


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
                origin=lot.origin,
            )
            for _, lot in sorted(pool.lots.items())
        ],
        orders=[FinalOrder(seq=seq, picks=picks) for seq, picks in pool.orders],
        product=pool.product,
        processes=_traces_of(pool),
        released=[] if pool.processes is None else sorted(pool.processes.released.items()),
    )


def final_move(key: str, move: Move) -> FinalMove:
    """Return a move's state in the words of the corpus."""
    request, reason = move.request, move.reason
    assert request is not None
    # When this was written, a move was due a second after it was requested; now it is at once.
    is_due = wake_at(move) is not None
    return FinalMove(
        key=key,
        version=move.version,
        last_at_ms=move.last_at_ms,
        wake_at_ms=move.requested_at_ms + 1_000 if is_due else None,
        status=move.status,
        requested_at_ms=move.requested_at_ms,
        product=request.product,
        source=request.source,
        destination=request.destination,
        from_code=request.from_code,
        to_code=request.to_code,
        quantity=request.quantity,
        lots=_transfers(move.lots),
        reason=None if reason is None else msgspec.to_builtins(reason),
        asks=[(ask.number, ask.actor_id, type(ask.command).__name__) for ask in intents(move)],
    )


def _traces_of(pool: Pool) -> list[FinalTrace]:
    traces = {} if pool.processes is None else pool.processes.traces
    return [
        FinalTrace(
            process=process,
            step=trace.step,
            expects=trace.expects,
            sent=None if trace.sent is None else _transfers(trace.sent),
            refused=trace.refused,
            taking=trace.taking,
            taken=trace.taken,
        )
        for process, trace in sorted(traces.items())
    ]


def _transfers(lots: Sequence[Transfer]) -> list[FinalTransfer]:
    return [
        FinalTransfer(
            quantity=lot.quantity,
            origin=lot.origin,
            code=lot.code,
            expires_at_ms=lot.expires_at_ms,
            received_at_ms=lot.received_at_ms,
            reference=lot.reference,
        )
        for lot in lots
    ]


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
