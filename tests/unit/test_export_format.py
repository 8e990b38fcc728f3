"""The format of exports: every block vouches for itself, and what is wrong is named."""

from collections.abc import Iterator

import pytest

from allocator.domain.records import GENESIS, chain
from allocator.persistence.transfer.format import (
    DamagedBlockError,
    DamagedExportError,
    End,
    Ending,
    Header,
    Piece,
    Reached,
    UnreadableError,
    blocks_of,
    line_of,
    sealed,
)
from allocator.persistence.transfer.unpacking import Rows, rows_of, table_rows_of

HEADER = Header(
    allocator_journal=1, release="0.1.0", era=1, xid=99, floors="0-0", id_secret="00" * 32
)
TEA, MUG = 256, 512


def row(actor_id: int, seq: int, previous: bytes, *, xid: int) -> tuple[bytes, bytes]:
    """A line of the journal, and the digest of its row."""
    body = f'{{"quantity":{seq}}}'
    digest = chain(
        previous,
        actor_id=actor_id,
        seq=seq,
        at_ms=1_000_123,
        kind="stock_received",
        version=1,
        body=body,
        principal="",
        idempotency_key=None,
        request_digest=None,
    )
    line = (
        f'{{"era":1,"xid":{xid},"actor_id":{actor_id},"seq":{seq},"at_ms":1000123,'
        f'"kind":"stock_received","version":1,"digest":"{digest.hex()}","body":{body}}}\n'
    )
    return line.encode(), digest


def journal() -> list[bytes]:
    """Lines of two actors, two rows each."""
    tea, tea_digest = row(TEA, 1, GENESIS, xid=7)
    mug, mug_digest = row(MUG, 1, GENESIS, xid=7)
    more_tea, _ = row(TEA, 2, tea_digest, xid=8)
    more_mugs, _ = row(MUG, 2, mug_digest, xid=9)
    return [tea, mug, more_tea, more_mugs]


def exported() -> bytes:
    """A whole export: header, two blocks of the journal, end."""
    reached, text = Reached(), b""
    lines = journal()
    for piece in (
        Piece(content=line_of(HEADER)),
        Piece(content=b"".join(lines[:2]), rows=2, position=f"1.7.{MUG}.1"),
        Piece(content=b"".join(lines[2:]), rows=2, position=f"1.9.{MUG}.2"),
        Piece(content=line_of(Ending(end=End(actor_numbers=2)))),
    ):
        reached = sealed(reached, piece)
        text += piece.content + line_of(reached)
    return text


def checked(lines: list[bytes]) -> bytes:
    """What COPY takes of lines, once they were checked."""
    rows = rows_of(b"".join(lines), first_line=1)
    return Rows().checked(rows, first_line=1)


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_blocks_come_out_whichever_way_their_bytes_come_in(size: int) -> None:
    text = exported()
    blocks = [*blocks_of(text[at : at + size] for at in range(0, len(text), size))]

    assert [block.first_line for block in blocks] == [1, 3, 6, 9]
    assert [block.reached.rows for block in blocks] == [0, 2, 4, 4]
    assert sum(block.size for block in blocks) == len(text)
    assert b"".join(block.content for block in blocks[1:3]) == b"".join(journal())


def test_reading_goes_on_behind_any_block() -> None:
    text = exported()
    first, second, *_ = blocks_of([text])
    behind = text[first.size + second.size :]

    assert [block.reached.block for block in blocks_of([behind], after=second.reached)] == [3, 4]


def test_a_file_that_breaks_off_anywhere_gives_whole_blocks_and_says_where_it_ends() -> None:
    text = exported()
    ends = [0]
    for block in blocks_of([text]):
        ends.append(ends[-1] + block.size)

    for size in range(len(text)):
        whole = [end for end in ends[1:] if end <= size]
        reading = blocks_of([text[:size]])
        assert [next(reading).reached.block for _ in whole] == [*range(1, len(whole) + 1)]
        if size in ends:
            assert next(reading, None) is None
            continue
        with pytest.raises(DamagedExportError) as caught:
            next(reading)
        assert caught.value.line == text[:size].count(b"\n") + 1


def test_no_bit_can_be_flipped_unnoticed() -> None:
    text = exported()
    for at in range(0, len(text), 3):
        damaged = bytearray(text)
        damaged[at] ^= 1

        with pytest.raises(DamagedExportError):
            for _ in blocks_of([bytes(damaged)]):
                pass


def test_blocks_cannot_change_places() -> None:
    header, first, second, end = blocks(exported())

    with pytest.raises(DamagedExportError, match="block 3, and block 2 was due"):
        [*blocks_of([header, second, first, end])]


def test_compressed_bytes_that_are_damaged_are_named_by_the_line_that_was_due() -> None:
    header, first, *_ = blocks(exported())

    def broken() -> Iterator[bytes]:
        yield header + first
        raise UnreadableError("cannot be decompressed")

    with pytest.raises(DamagedExportError, match="line 6 or one soon after it cannot be"):
        [*blocks_of(broken())]


def test_a_row_becomes_what_copy_takes() -> None:
    first, *_ = checked(journal()).decode().splitlines()
    columns = first.split("\x1f")

    assert columns[:7] == [
        str(TEA),
        "1",
        "1970-01-01 00:16:40.123Z",
        "1",
        "7",
        "1",
        "stock_received",
    ]
    assert columns[7:10] == ["\x01\x01", "", ""]
    assert columns[11] == '{"quantity":1}'


TEA_1, MUG_1, TEA_2, MUG_2 = journal()


def test_rows_that_follow_are_taken_wherever_they_end() -> None:
    for count in range(1, 5):
        assert checked(journal()[:count]).count(b"\n") == count


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([TEA_1, TEA_2, MUG_1, MUG_2], "line 3 is out of order"),
        ([TEA_1, MUG_1, TEA_2, TEA_2], "line 4 is out of order"),
        (
            [TEA_1, MUG_1, TEA_2.replace(b'y":2', b'y":3'), MUG_2],
            f"line 3 is not as it was written: row 2 of actor {TEA}",
        ),
        (
            [TEA_1, MUG_1.replace(b'"at_ms":1000123', b'"at_ms":1000124')],
            f"line 2 is not as it was written: row 1 of actor {MUG}",
        ),
        ([MUG_1, TEA_2], f"line 2 is row 2 of actor {TEA}, and row 1 was to come first"),
        ([TEA_1, b"{}\n", MUG_2], "line 2 is not a row of the journal"),
        (
            [TEA_1, MUG_1.replace(b'"kind"', b'"new":1,"kind"')],
            "line 2 is not a row of the journal: Object contains unknown field `new`",
        ),
    ],
    ids=["moved", "twice", "edited", "another time", "left out", "no row", "newer"],
)
def test_a_row_that_does_not_follow_is_named(lines: list[bytes], why: str) -> None:
    with pytest.raises(DamagedExportError, match=why):
        checked(lines)


def test_more_actors_than_are_remembered_are_asked_for() -> None:
    lines = journal()
    rows = Rows(heads_max=0)
    first, second = (
        rows_of(b"".join(lines[:2]), first_line=1), rows_of(b"".join(lines[2:]), first_line=3)
    )  # fmt: skip
    rows.checked(first, first_line=1)
    kept = rows.missing(second)
    rows.checked([], first_line=3)
    rows.checked(rows_of(row(1 << 30, 1, GENESIS, xid=8)[0], first_line=3), first_line=3)

    assert kept == []
    assert sorted(rows.missing(second)) == [TEA, MUG]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"table":"carts","row":{}}\n', "line 5 is of a table 'carts', which this release"),
        (
            b'{"table":"pools","row":{}}\n{"table":"actors","row":{}}\n',
            "line 6 is of the table actors amid pools",
        ),
        (b'{"table":"pools"}\n', "line 5 is not a row of a table"),
    ],
)
def test_a_line_of_no_table_that_is_known_is_named(text: bytes, why: str) -> None:
    with pytest.raises(DamagedExportError, match=why):
        table_rows_of(text, first_line=5)


def test_a_damaged_block_can_be_examined() -> None:
    text = exported().replace(b'"quantity":2', b'"quantity":3', 1)

    with pytest.raises(DamagedBlockError) as caught:
        [*blocks_of([text])]
    assert (caught.value.line, caught.value.content.count(b"\n")) == (6, 2)


def blocks(text: bytes) -> list[bytes]:
    """The text of each block."""
    found, at = [], 0
    for block in blocks_of([text]):
        found.append(text[at : at + block.size])
        at += block.size
    return found
