"""Rows of every released version recover, for ever, to what they were."""

from hashlib import blake2b

import msgspec
import pytest

from allocator.domain.carts import Cart
from allocator.domain.codec import KINDS, VERSIONS, decode_event
from allocator.domain.feeds import Feed
from allocator.domain.kinds import Kind, State, blank, dump, load
from allocator.domain.messages import StockReceived
from allocator.domain.moves import Move
from allocator.domain.orders import Order
from allocator.domain.pool import Pool
from allocator.domain.records import Record
from allocator.domain.replay import replay
from allocator.domain.snapshots import dump_pool, dump_process, load_move, load_pool
from allocator.domain.transfers import UnitsSent, UnitsTaken
from allocator.domain.upcast import decoders_of, step
from tests.builders import first_broken
from tests.corpus.reading import (
    CORPUS,
    FinalCart,
    FinalEntry,
    FinalFeed,
    FinalLed,
    FinalMove,
    FinalPool,
    FinalState,
    final_cart,
    final_feed,
    final_move,
    final_order,
    final_pool,
    finals_in,
    records_in,
    releases,
)

# Lines are added, by `python -m tests.corpus.make`, and never changed.
DIGESTS = {
    "v0.1.ndjson": "9c671ed00114b0ecc16c8db3110df9ed",
    "v0.1.json": "f6bca722fa75eea6b9816fae68780f9d",
    "v0.1b.ndjson": "4b574e1ab376b662f1dd4d06a0a63351",
    "v0.1b.json": "c388eec702e56308c522287c8009e821",
    "v0.1c.ndjson": "cfe3fe57555cb8d9da98f9094252cb0b",
    "v0.1c.json": "a848d1d67bb95812fc28314effce76cd",
    "v0.1d.ndjson": "467900fe02d291590bf0a0d45e4a94e0",
    "v0.1d.json": "30fa6461dfc4aeb32e480dabccecbd79",
    "v0.1e.ndjson": "0f7660c1996fa1716e263b9161cce0ea",
    "v0.1e.json": "89a523a3951f29b36f22bd0f97890110",
    "v0.1f.ndjson": "1afc4fb834b77ee118f58c67ad1f06fd",
    "v0.1f.json": "67b27e007ae21291f1c05a055253326c",
}

# The fields that a stored version has; one that has a default may be absent. A line that does not
# fit any more means a new version: a release that does not know a field drops it without a word.
FIELDS = {
    ("stock_received", 1): "quantity lot? expires_at_ms? reference?",
    ("order_placed", 1): "quantity picks customer?",
    ("order_dispatched", 1): "order quantity picks",
    ("order_cancelled", 1): "order quantity picks",
    ("lot_expired", 1): "lot quantity",
    ("stock_received", 2): "quantity lot? expires_at_ms? reference? product?",
    ("order_placed", 2): "quantity picks customer? product?",
    ("order_dispatched", 2): "order quantity picks product?",
    ("order_cancelled", 2): "order quantity picks product?",
    ("lot_expired", 2): "lot quantity product?",
    ("ticket_option_opened", 1): "name desc allocation",
    ("product_expected", 1): "process step product",
    ("units_sent", 1): "process step quantity lots product?",
    ("send_refused", 1): "process step requested available lots? product?",
    ("units_taken", 1): "process step lot last product?",
    ("process_let_go", 1): "process step",
    ("move_requested", 1): "product source destination from_code to_code quantity expects",
    ("move_expected", 1): "",
    ("move_sent", 1): "lots",
    ("move_done", 1): "",
    ("move_refused", 1): "reason",
    ("move_ended", 1): "",
    ("process_let_go", 2): "process step quantity? picks? product? of_cart?",
    ("units_held", 1): "process step order quantity added? returned? product?",
    ("hold_refused", 1): "process step requested available product?",
    ("hold_confirmed", 1): "process step order quantity picks product? held?",
    ("order_partly_dispatched", 1): "order quantity picks left product?",
    ("order_cancelled", 3): "order quantity picks product? missing?",
    ("process_let_go", 3): "process step quantity? picks? product? of_cart? missing?",
    ("units_held", 2): "process step order quantity added? returned? product? missing?",
    ("units_taken", 2): "process step lot last product? missing?",
    ("units_adjusted", 1): "changes? recalled? reason reference? product? missing?",
    ("units_recalled", 1): "lot state quantity product?",
    ("order_repicked", 1): "order returned added product? missing?",
    ("order_requested", 1): "lines customer?",
    ("order_accepted", 1): "held lines? customer?",
    ("order_declined", 1): "shortages lines? customer?",
    ("lines_dispatched", 1): "parts order?",
    ("lines_cancelled", 1): "",
    ("lines_settled", 1): "order?",
    ("cart_opened", 1): "customer? ttl_ms cap_ms",
    ("line_wanted", 1): "line",
    ("line_held", 1): "edit order picks",
    ("line_refused", 1): "edit requested available",
    ("cart_closed", 1): "",
    ("cart_expired", 1): "",
    ("cart_ended", 1): "",
    ("checkout_begun", 1): "items amount currency client_id deadline_ms",
    ("checkout_paid", 1): "attempt held reference? detail? resolved?",
    ("checkout_failed", 1): "attempt reference? detail? resolved?",
    ("checkout_unknown", 1): "attempt reference? detail?",
    ("refund_due", 1): "attempt reference? detail?",
    ("feed_attached", 1): "feed excludes? lots?",
    ("lot_reconciled", 1): (
        "feed as_of code? orderable applied before opened? changes? available short? "
        "expires_at_ms? received_at_ms?"
    ),
    ("lot_reconciled", 2): (
        "feed as_of code? orderable applied before opened? changes? expired? available short? "
        "expires_at_ms? received_at_ms?"
    ),
    ("feed_detached", 1): "feed lots?",
    ("shortfall_changed", 1): "before short",
    ("feed_put", 1): "warehouse url poll_ms rate_per_s burst excludes",
    ("feed_deleted", 1): "",
    ("feed_ended", 1): "",
    ("poll_begun", 1): "deadline_ms",
    ("poll_ended", 1): "poll failure? retry_after_ms?",
    ("run_begun", 1): "poll? as_of applied_through parts? deadline_ms",
    ("part_ended", 1): "run part lots differences",
    ("run_ended", 1): "run complete lots differences shortfall? failure? retry_after_ms?",
}

# Of which no release has written a row so far. Before the first one does, `tests.corpus.make` tells
# stories of them, and this becomes empty again.
UNRELEASED: set[tuple[str, int]] = {("lot_reconciled", 2)}

ROWS = [
    record for release in releases() for rows in records_in(release).values() for record in rows
]
POOLS = [
    pytest.param(records_in(release)[actor_id], final, id=f"{release} {final.key}")
    for release in releases()
    for actor_id, final in finals_in(release).items()
    if isinstance(final, FinalPool)
]
MOVES = [
    pytest.param(records_in(release)[actor_id], final, id=f"{release} {final.key}")
    for release in releases()
    for actor_id, final in finals_in(release).items()
    if isinstance(final, FinalMove)
]
LED = [
    pytest.param(records_in(release)[actor_id], final, id=f"{release} {final.key}")
    for release in releases()
    for actor_id, final in finals_in(release).items()
    if isinstance(final, FinalLed | FinalCart)
]
FEEDS = [
    pytest.param(records_in(release)[actor_id], final, id=f"{release} {final.key}")
    for release in releases()
    for actor_id, final in finals_in(release).items()
    if isinstance(final, FinalFeed)
]
ENTRIES = [
    pytest.param(records_in(release)[actor_id], final, id=f"{release} {final.key}")
    for release in releases()
    for actor_id, final in finals_in(release).items()
    if isinstance(final, FinalEntry)
]


def bodies_of(kind: str, version: int) -> list[dict[str, object]]:
    """What the rows of a kind say, field by field."""
    return [
        msgspec.json.decode(row.body, type=dict[str, object])
        for row in ROWS
        if (row.kind, row.version) == (kind, version)
    ]


def test_no_file_of_the_corpus_ever_changes() -> None:
    found = {
        path.name: blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in CORPUS.iterdir()
        if path.suffix in {".ndjson", ".json"}
    }

    assert found == DIGESTS


def test_every_version_of_every_kind_is_in_the_corpus() -> None:
    """Of a new one, `python -m tests.corpus.make` writes rows, into a file of their own."""
    known = {(kind, version) for kind, last in VERSIONS.items() for version in range(1, last + 1)}

    assert {(row.kind, row.version) for row in ROWS} == known - UNRELEASED


@pytest.mark.parametrize(("event_type", "kind"), KINDS.items(), ids=KINDS.values())
def test_a_version_has_the_fields_that_it_always_had(event_type: type, kind: str) -> None:
    fields = msgspec.structs.fields(event_type)
    named = " ".join(f.encode_name + ("" if f.required else "?") for f in fields)

    assert FIELDS[kind, VERSIONS[kind]] == named


@pytest.mark.parametrize(("kind", "version"), [name for name in FIELDS if name not in UNRELEASED])
def test_every_field_is_in_the_corpus_and_absent_from_it_where_it_may_be(
    kind: str, version: int
) -> None:
    bodies = bodies_of(kind, version)
    for field in FIELDS[kind, version].split():
        name = field.removesuffix("?")
        assert any(name in body for body in bodies), name
        assert all(name in body for body in bodies) == (name == field), name


@pytest.mark.parametrize(("records", "final"), POOLS + MOVES + LED + FEEDS + ENTRIES)
def test_the_chain_of_an_actor_s_rows_holds(records: list[Record], final: FinalState) -> None:
    assert first_broken(records) is None
    assert [record.seq for record in records] == list(range(1, final.version + 1))


@pytest.mark.parametrize(("records", "final"), POOLS)
def test_a_pool_recovers_to_what_it_was(records: list[Record], final: FinalPool) -> None:
    pool = Pool()
    replay(pool, records)

    assert final_pool(final.key, pool) == final


@pytest.mark.parametrize(("records", "final"), POOLS)
def test_a_pool_recovers_from_a_snapshot_at_any_of_its_rows(
    records: list[Record], final: FinalPool
) -> None:
    growing = Pool()
    for seq, record in enumerate(records, start=1):
        replay(growing, [record])
        pool = load_pool(dump_pool(growing))
        replay(pool, records[seq:])
        assert final_pool(final.key, pool) == final


@pytest.mark.parametrize(("records", "final"), MOVES)
def test_a_move_recovers_to_what_it_was_and_asks_what_it_asked(
    records: list[Record], final: FinalMove
) -> None:
    move = Move()
    replay(move, records)

    assert final_move(final.key, move) == final


@pytest.mark.parametrize(("records", "final"), MOVES)
def test_a_move_recovers_from_a_snapshot_at_any_of_its_rows(
    records: list[Record], final: FinalMove
) -> None:
    growing = Move()
    for seq, record in enumerate(records, start=1):
        replay(growing, [record])
        move = load_move(dump_process(growing))
        replay(move, records[seq:])
        assert final_move(final.key, move) == final


def led(final: FinalLed | FinalCart, state: State) -> FinalLed | FinalCart:
    """What an order of several lines, or a cart, has come to."""
    if isinstance(state, Order):
        return final_order(final.key, state)
    assert isinstance(state, Cart)
    return final_cart(final.key, state)


@pytest.mark.parametrize(("records", "final"), LED)
def test_orders_and_carts_recover_to_what_they_were_from_any_of_their_rows(
    records: list[Record], final: FinalLed | FinalCart
) -> None:
    """And they ask what they asked."""
    kind: Kind = "order" if isinstance(final, FinalLed) else "cart"
    growing = blank(kind)
    for seq, record in enumerate(records, start=1):
        replay(growing, [record])
        state = load(kind, dump(growing))
        replay(state, records[seq:])
        assert led(final, state) == final


@pytest.mark.parametrize(("records", "final"), FEEDS)
def test_a_feed_recovers_to_what_it_was_from_any_of_its_rows(
    records: list[Record], final: FinalFeed
) -> None:
    growing = blank("feed")
    for seq, record in enumerate(records, start=1):
        replay(growing, [record])
        state = load("feed", dump(growing))
        replay(state, records[seq:])
        assert isinstance(state, Feed)
        assert final_feed(final.key, state) == final


@pytest.mark.parametrize("release", releases())
def test_what_has_been_sent_and_not_taken_in_is_what_moves_have_in_transit(release: str) -> None:
    rows = [row for records in records_in(release).values() for row in records]
    events = [
        decode_event(kind=row.kind, version=row.version, body=row.body)
        for row in rows
        if row.kind in {"units_sent", "units_taken"}
    ]
    sent = sum(event.quantity for event in events if isinstance(event, UnitsSent))
    taken = sum(event.lot.quantity for event in events if isinstance(event, UnitsTaken))
    moves = [final for final in finals_in(release).values() if isinstance(final, FinalMove)]
    under_way = [move for move in moves if move.status == "in_transit"]

    assert sent - taken == sum(lot.quantity for move in under_way for lot in move.lots)
    assert bool(under_way) == bool(moves)


@pytest.mark.parametrize(("records", "final"), ENTRIES)
def test_an_entry_of_the_catalogue_says_last_what_it_contains(
    records: list[Record], final: FinalEntry
) -> None:
    assert msgspec.json.decode(records[-1].body) == final.contents


class _Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `StockReceived` might have become in its second version."""

    units: int
    lot: str | None = None
    expires_at_ms: int | None = None
    reference: str | None = None


def _delivery_of(old: StockReceived) -> _Delivery:
    return _Delivery(
        units=old.quantity, lot=old.lot, expires_at_ms=old.expires_at_ms, reference=old.reference
    )


def test_a_kind_that_moves_on_takes_the_whole_corpus_along() -> None:
    """Nothing was released twice so far: this is what it will be like."""
    decoders = decoders_of(
        {_Delivery: "stock_received"},
        versions={"stock_received": 2},
        upcasters={("stock_received", 1): step(StockReceived, _delivery_of)},
    )
    rows = [row for row in ROWS if (row.kind, row.version) == ("stock_received", 1)]

    assert rows
    for row in rows:
        event = decode_event(kind=row.kind, version=row.version, body=row.body)
        assert isinstance(event, StockReceived)
        assert decoders[row.kind, row.version](row.body) == _delivery_of(event)
