"""Pools, records and requests, made in one line where a test needs them."""

from collections.abc import Iterable, Sequence

from allocator.actors.keys import KeyedRequest
from allocator.domain import kinds
from allocator.domain.codec import KINDS, VERSIONS, encode_event
from allocator.domain.messages import (
    Command,
    Decision,
    Event,
    PlaceOrder,
    ReceiveStock,
    Refusal,
    StockReceived,
    Wake,
)
from allocator.domain.pool import Balance, Pool
from allocator.domain.records import GENESIS, Record, chain
from allocator.domain.rules import decide, evolve

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
ACTOR = 7 << 8 | 42
"""An actor's id; its shard is 42."""


def received(quantity: int, *, expires_at_ms: int | None = None) -> StockReceived:
    """Return the event of a lot's arrival."""
    return StockReceived(quantity=quantity, expires_at_ms=expires_at_ms)


def receive(quantity: int, *, expires_at_ms: int | None = None) -> ReceiveStock:
    """Return the command that takes a lot in."""
    return ReceiveStock(quantity=quantity, expires_at_ms=expires_at_ms)


def place(quantity: int) -> PlaceOrder:
    """Return the command that orders units."""
    return PlaceOrder(quantity=quantity)


def keyed(
    key: str,
    command: Command,
    *,
    actor_id: int = ACTOR,
    principal: str = "",
    request_digest: bytes | None = None,
) -> KeyedRequest:
    """Return a request with an Idempotency-Key; its digest is that of what it asks."""
    asked = f"{actor_id} {command}".encode()
    return KeyedRequest(
        actor_id=actor_id,
        command=command,
        principal=principal,
        key=key,
        request_digest=asked if request_digest is None else request_digest,
    )


def pool_of(*lots: int | StockReceived) -> Pool:
    """Return a pool that received these lots, in order; an int is a lot that never expires."""
    pool = Pool()
    for lot in lots:
        evolve(pool, received(lot) if isinstance(lot, int) else lot, at_ms=NOW_MS)
    return pool


def do(pool: Pool, command: Command, *, now_ms: int = NOW_MS) -> Sequence[Event]:
    """Have a pool decide and apply what it decided, expiring first what is due, as actors do.

    Returns:
        The events of the command alone.
    """
    apply(pool, decide(pool, Wake(), now_ms=now_ms), now_ms=now_ms)
    return apply(pool, decide(pool, command, now_ms=now_ms), now_ms=now_ms)


def apply(pool: Pool, decision: Decision, *, now_ms: int) -> Sequence[Event]:
    """Apply what was decided, which is no refusal, and return it."""
    assert isinstance(decision, tuple), decision
    for event in decision:
        evolve(pool, event, at_ms=now_ms)
    return decision


def refusal(pool: Pool, command: Command, *, now_ms: int = NOW_MS) -> Refusal:
    """Return why a pool refuses; it does."""
    decision = decide(pool, command, now_ms=now_ms)
    assert not isinstance(decision, tuple), decision
    return decision


def units(balance: Balance) -> tuple[int, int, int, int]:
    """Return available, ordered, expired and on hand."""
    return balance.available, balance.ordered, balance.expired, balance.on_hand


def records_of(
    events: Iterable[tuple[int, kinds.Event]], *, actor_id: int = ACTOR, principal: str = ""
) -> list[Record]:
    """Return the rows that an actor would journal for (milliseconds, event) pairs."""
    records: list[Record] = []
    digest = GENESIS
    for seq, (at_ms, event) in enumerate(events, start=1):
        kind, body = KINDS[type(event)], encode_event(event).decode()
        digest = chain(
            digest,
            actor_id=actor_id,
            seq=seq,
            at_ms=at_ms,
            kind=kind,
            version=VERSIONS[kind],
            body=body,
            principal=principal,
            idempotency_key=None,
            request_digest=None,
        )
        records.append(
            Record(
                actor_id=actor_id,
                seq=seq,
                at_ms=at_ms,
                kind=kind,
                version=VERSIONS[kind],
                body=body,
                digest=digest,
                principal=principal,
            )
        )
    return records


def first_broken(records: Sequence[Record]) -> int | None:
    """Return the position of the first row whose digest does not follow, or None if all do."""
    previous = GENESIS
    for position, record in enumerate(records):
        if record.digest != digest_after(previous, record):
            return position
        previous = record.digest
    return None


def digest_after(previous: bytes, record: Record) -> bytes:
    """Return the digest that a row must have after the row with digest `previous`."""
    return chain(
        previous,
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        kind=record.kind,
        version=record.version,
        body=record.body,
        principal=record.principal,
        idempotency_key=record.idempotency_key,
        request_digest=record.request_digest,
    )
