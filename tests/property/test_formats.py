"""What is stored or shown reads back as what was meant, and nothing else does."""

from uuid import RFC_4122, UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from allocator.domain.codec import KINDS, VERSIONS, decode_event, encode_event
from allocator.domain.ids import ACTOR_BITS, SEQ_BITS, IdSeal
from allocator.domain.messages import Event
from allocator.domain.records import GENESIS, Record
from tests.builders import digest_after, first_broken, records_of
from tests.property.strategies import EVENTS, TEXTS, TIMES_MS

SEAL = IdSeal(bytes(range(32)))
ACTORS = st.integers(0, (1 << ACTOR_BITS) - 1)
SEQS = st.integers(0, (1 << SEQ_BITS) - 1)
BYTES = st.binary(max_size=16)
# As routes let them in: printable, and one line.
KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)

ROWS = st.builds(
    Record,
    actor_id=ACTORS,
    seq=SEQS,
    at_ms=TIMES_MS,
    kind=st.sampled_from(sorted(KINDS.values())),
    version=st.integers(1, 3),
    body=TEXTS,
    digest=st.just(b""),
    principal=KEYS | st.just(""),
    idempotency_key=st.none() | KEYS,
    request_digest=st.none() | st.binary(min_size=1, max_size=16),
)


@given(event=EVENTS)
def test_any_event_survives_its_encoding(event: Event) -> None:
    body = encode_event(event)
    kind = KINDS[type(event)]
    stored = decode_event(kind=kind, version=VERSIONS[kind], body=body.decode())

    assert stored == event
    assert encode_event(stored) == body
    assert b"\n" not in body


@given(actor_id=ACTORS, seq=SEQS)
def test_any_address_survives_its_sealing(actor_id: int, seq: int) -> None:
    sealed = SEAL.seal(actor_id, seq)
    value = UUID(sealed)

    assert SEAL.unseal(sealed) == (actor_id, seq)
    assert SEAL.unseal(sealed.upper()) == (actor_id, seq)
    assert (value.version, value.variant, str(value)) == (8, RFC_4122, sealed)


@given(actor_id=ACTORS, seq=SEQS, bit=st.integers(0, 127))
def test_no_bit_of_an_id_can_be_changed(actor_id: int, seq: int, bit: int) -> None:
    changed = UUID(int=UUID(SEAL.seal(actor_id, seq)).int ^ 1 << bit)

    assert SEAL.unseal(str(changed)) is None


@given(value=st.uuids())
def test_no_uuid_of_somebody_else_is_an_id(value: UUID) -> None:
    """F11."""
    assert SEAL.unseal(str(value)) is None


@given(text=st.text(max_size=40) | st.text("0123456789abcdefABCDEF-_+x ", min_size=36, max_size=36))
def test_whatever_else_a_client_sends_is_no_id_either(text: str) -> None:
    assert SEAL.unseal(text) is None


@given(addresses=st.lists(st.tuples(ACTORS, SEQS), unique=True, max_size=20))
def test_no_two_addresses_share_an_id(addresses: list[tuple[int, int]]) -> None:
    assert len({SEAL.seal(*address) for address in addresses}) == len(addresses)


@given(first=ROWS, second=ROWS, previous=BYTES)
def test_rows_that_say_different_things_have_different_digests(
    first: Record, second: Record, previous: bytes
) -> None:
    same = digest_after(previous, first) == digest_after(previous, second)

    assert same == (first == second)


@given(row=ROWS, other=ROWS, field=st.sampled_from(Record.__struct_fields__))
def test_no_field_of_a_row_can_be_exchanged(row: Record, other: Record, field: str) -> None:
    changes = {field: getattr(other, field)}
    edited = msgspec.convert({**msgspec.structs.asdict(row), **changes}, Record)
    same = digest_after(GENESIS, row) == digest_after(GENESIS, edited)

    assert same == (edited == row)


@given(
    events=st.lists(st.tuples(TIMES_MS, EVENTS), min_size=2, max_size=8),
    data=st.data(),
)
def test_a_row_that_is_missing_or_out_of_place_shows(
    events: list[tuple[int, Event]], data: st.DataObject
) -> None:
    records = records_of(events)
    moved = data.draw(st.permutations(records), label="reordered")
    gone = data.draw(st.integers(0, len(records) - 2), label="removed")

    assert first_broken(records) is None
    assert (first_broken(moved) is None) == (moved == records)
    assert first_broken([*records[:gone], *records[gone + 1 :]]) == gone
