"""The chain of an actor's rows: what was changed in it shows, and where."""

import msgspec
import pytest

from allocator.domain.chains import BrokenChainError, Chain
from allocator.domain.records import GENESIS, Record, chain

ACTOR = 513


def rows(count: int) -> list[Record]:
    written: list[Record] = []
    for seq in range(1, count + 1):
        record = Record(
            actor_id=ACTOR,
            seq=seq,
            at_ms=1_000 + seq,
            kind="stock_received",
            version=1,
            body=f'{{"quantity":{seq}}}',
            digest=b"",
            principal="till",
            idempotency_key=f"key-{seq}",
            request_digest=bytes(16),
        )
        previous = written[-1].digest if written else GENESIS
        written.append(msgspec.structs.replace(record, digest=digest_of(previous, record)))
    return written


def digest_of(previous: bytes, record: Record) -> bytes:
    said = {name: getattr(record, name) for name in Record.__struct_fields__ if name != "digest"}
    return chain(previous, **said)


def beginning() -> Chain:
    return Chain(actor_id=ACTOR, seq=0, digest=GENESIS)


def check_all(checked: Chain, records: list[Record]) -> None:
    for record in records:
        checked.check(record)


def first_wrong(records: list[Record]) -> BrokenChainError:
    with pytest.raises(BrokenChainError) as caught:
        check_all(beginning(), records)
    return caught.value


def test_rows_as_they_were_written_are_taken() -> None:
    written = rows(4)
    checked = beginning()

    check_all(checked, written)

    assert (checked.seq, checked.digest) == (4, written[-1].digest)


def test_a_chain_may_begin_behind_what_was_pruned() -> None:
    written = rows(5)
    checked = Chain(actor_id=ACTOR, seq=2, digest=written[1].digest)

    check_all(checked, written[2:])

    assert checked.seq == 5


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at_ms", 1_004),
        ("kind", "lot_expired"),
        ("version", 2),
        ("body", '{"quantity":4}'),
        ("digest", bytes(16)),
        ("principal", "nobody"),
        ("idempotency_key", None),
        ("request_digest", b"1" * 16),
    ],
)
def test_an_edited_column_is_found_in_its_row(column: str, value: object) -> None:
    written = rows(4)
    written[2] = msgspec.structs.replace(written[2], **{column: value})

    wrong = first_wrong(written)

    assert (wrong.actor_id, wrong.seq, wrong.found) == (ACTOR, 3, None)
    assert wrong.stored == written[2].digest != wrong.expected
    assert str(wrong).startswith("actor 513: row 3 is not as it was written after row 2")


def test_a_missing_row_is_named() -> None:
    written = rows(4)
    del written[1]

    wrong = first_wrong(written)

    assert (wrong.seq, wrong.found) == (2, 3)
    assert str(wrong) == "actor 513: row 2 was expected where row 3 stands"


def test_a_row_that_was_removed_and_the_next_one_renumbered_is_found() -> None:
    written = rows(4)
    written[1:3] = [msgspec.structs.replace(written[2], seq=2)]

    wrong = first_wrong(written)

    assert (wrong.seq, wrong.found) == (2, None)


def test_two_rows_that_changed_places_are_found() -> None:
    written = rows(4)
    written[1], written[2] = (
        msgspec.structs.replace(written[2], seq=2),
        msgspec.structs.replace(written[1], seq=3),
    )

    assert first_wrong(written).seq == 2


def test_a_row_that_stands_twice_is_found() -> None:
    written = rows(3)
    written.insert(2, written[1])

    wrong = first_wrong(written)

    assert (wrong.seq, wrong.found) == (3, 2)


def test_behind_a_wrong_row_only_what_else_is_wrong_is_found() -> None:
    written = rows(6)
    written[1] = msgspec.structs.replace(written[1], body='{"quantity":9}')
    del written[3]
    checked = beginning()
    wrong: list[int] = []

    for record in written:
        try:
            checked.check(record)
        except BrokenChainError as error:
            wrong.append(error.seq)
            checked.go_on_from(record)

    assert wrong == [2, 4]
