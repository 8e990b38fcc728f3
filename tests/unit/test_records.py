"""Rows on their way in and out, and the chain that shows what was done to them since."""

import msgspec
import pytest

from allocator.domain.messages import Event, OrderPlaced, StockReceived
from allocator.domain.pool import Pool
from allocator.domain.records import DIGEST_BYTES, GENESIS, Batch, Record
from allocator.domain.replay import GapError, replay
from tests.builders import ACTOR, NOW_MS, digest_after, first_broken, records_of

EVENTS: list[tuple[int, Event]] = [
    (NOW_MS, StockReceived(quantity=5)),
    (NOW_MS + 1, OrderPlaced(quantity=3, picks=((1, 3),))),
    (NOW_MS + 1, OrderPlaced(quantity=1, picks=((1, 1),))),
    (NOW_MS + 2, OrderPlaced(quantity=1, picks=((1, 1),))),
]


def edited(record: Record, **changes: object) -> Record:
    fields = {**msgspec.structs.asdict(record), **changes}
    return msgspec.convert(fields, Record)


def add(batch: Batch, record: Record) -> None:
    batch.add(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        kind=record.kind,
        version=record.version,
        body=record.body,
        digest=record.digest,
        principal=record.principal,
        idempotency_key=record.idempotency_key,
        request_digest=record.request_digest,
    )


def test_a_chain_that_nobody_touched_holds() -> None:
    assert first_broken(records_of(EVENTS)) is None


def test_the_digest_of_a_row_is_the_same_for_ever() -> None:
    """A changed digest would make every journal look forged."""
    record = edited(records_of(EVENTS)[0], version=1)
    said_more = edited(record, principal="shop", idempotency_key="k1", request_digest=b"\x01\x02")

    assert digest_after(GENESIS, record).hex() == "71d8ad8b0f1ceef1e3a6cbd1c264a706"
    assert digest_after(GENESIS, said_more).hex() == "98b6bdfae0073b31b8b45ef60ad68e23"
    assert len(record.digest) == DIGEST_BYTES


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor_id", ACTOR + 1),
        ("seq", 5),
        ("at_ms", NOW_MS),
        ("kind", "order_cancelled"),
        ("version", 3),
        ("body", '{"quantity":2,"picks":[[1,2]]}'),
        ("principal", "somebody"),
        ("idempotency_key", "k"),
        ("request_digest", b"d"),
    ],
)
def test_an_edited_row_shows(field: str, value: object) -> None:
    records = records_of(EVENTS)
    records[1] = edited(records[1], **{field: value})

    assert first_broken(records) == 1


def test_a_removed_row_shows() -> None:
    records = records_of(EVENTS)
    del records[1]

    assert first_broken(records) == 1


def test_rows_that_changed_places_show() -> None:
    records = records_of(EVENTS)
    records[2], records[3] = records[3], records[2]

    assert first_broken(records) == 2


def test_a_chain_does_not_begin_in_the_middle() -> None:
    assert first_broken(records_of(EVENTS)[1:]) == 0


def test_a_row_of_another_actor_does_not_fit_in() -> None:
    records = records_of(EVENTS)
    records[1] = records_of(EVENTS, actor_id=ACTOR + 256)[1]

    assert first_broken(records) == 1


def test_replaying_records_gives_the_state() -> None:
    pool = Pool()
    replay(pool, records_of(EVENTS))

    assert (pool.version, pool.available, pool.ordered) == (4, 0, 5)
    assert pool.last_at_ms == NOW_MS + 2


@pytest.mark.parametrize(("position", "expected", "found"), [(0, 1, 2), (2, 3, 4)])
def test_replay_stops_at_a_missing_row(position: int, expected: int, found: int) -> None:
    records = records_of(EVENTS)
    del records[position]
    with pytest.raises(GapError, match=f"row {expected} was expected where row {found} stands"):
        replay(Pool(), records)


def test_replay_stops_at_a_row_that_stands_twice() -> None:
    records = records_of(EVENTS)
    records.insert(1, records[0])
    with pytest.raises(GapError, match="row 2 was expected where row 1 stands"):
        replay(Pool(), records)


def test_a_batch_keeps_its_columns_in_step() -> None:
    records = records_of(EVENTS)
    batch = Batch()
    for record in records:
        add(batch, record)

    assert len(batch) == 4
    assert batch.seqs == [1, 2, 3, 4]
    assert batch.digests == [record.digest for record in records]


def test_a_batch_without_keys_sends_no_columns_for_them() -> None:
    batch = Batch()
    for record in records_of(EVENTS):
        add(batch, record)

    assert (batch.principals, batch.idempotency_keys, batch.request_digests) == ([], [], [])


@pytest.mark.parametrize("keyed", [[0], [3], [1, 2], [0, 3]])
def test_a_key_stands_beside_its_own_row(keyed: list[int]) -> None:
    """The rows before the first key and after the last one get empty places."""
    batch = Batch()
    for position, record in enumerate(records_of(EVENTS)):
        key = f"k{position}" if position in keyed else None
        digest = b"d" if key else None
        add(batch, edited(record, idempotency_key=key, request_digest=digest))

    assert batch.idempotency_keys == [f"k{n}" if n in keyed else None for n in range(4)]
    assert batch.request_digests == [b"d" if n in keyed else None for n in range(4)]
    assert batch.principals == [""] * 4


def test_a_principal_alone_is_stored_too() -> None:
    batch = Batch()
    first, second, *_ = records_of(EVENTS)
    add(batch, first)
    add(batch, edited(second, principal="somebody"))

    assert batch.principals == ["", "somebody"]
    assert batch.idempotency_keys == [None, None]
