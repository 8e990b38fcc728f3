"""The storage format: what was written once is read for ever."""

import msgspec
import pytest

from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.codec import (
    KINDS,
    VERSIONS,
    UnknownEventError,
    decode_event,
    encode_event,
)
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    InsufficientStock,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.moves import (
    MoveDone,
    MoveEnded,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
)
from allocator.domain.transfers import (
    Occupied,
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    TooManyLots,
    Transfer,
    UnitsSent,
    UnitsTaken,
)
from tests.stored_carts import STORED_CARTS
from tests.stored_feeds import STORED_FEEDS, STORED_MISSING
from tests.stored_orders import STORED_ORDERS

PLAIN = Transfer(quantity=3, origin=(5, 1), received_at_ms=9)
WHOLE = Transfer(
    quantity=3, origin=(5, 1), received_at_ms=9, code="A", expires_at_ms=10, reference="r"
)

# Never edit a line: it is in somebody's journal. A changed meaning is a new version, below.
STORED: list[tuple[str, str, Event]] = [
    (
        "stock_received",
        '{"quantity":5,"lot":"A","expires_at_ms":1700000003600000,"reference":"r"}',
        StockReceived(quantity=5, lot="A", expires_at_ms=1_700_000_003_600_000, reference="r"),
    ),
    ("stock_received", '{"quantity":5}', StockReceived(quantity=5)),
    (
        "order_placed",
        '{"quantity":3,"picks":[[1,2],[4,1]],"customer":"ada"}',
        OrderPlaced(quantity=3, picks=((1, 2), (4, 1)), customer="ada"),
    ),
    (
        "order_placed",
        '{"quantity":3,"picks":[[1,3]]}',
        OrderPlaced(quantity=3, picks=((1, 3),)),
    ),
    (
        "order_dispatched",
        '{"order":2,"quantity":3,"picks":[[1,3]]}',
        OrderDispatched(order=2, quantity=3, picks=((1, 3),)),
    ),
    (
        "order_cancelled",
        '{"order":2,"quantity":3,"picks":[[1,3]]}',
        OrderCancelled(order=2, quantity=3, picks=((1, 3),)),
    ),
    ("lot_expired", '{"lot":1,"quantity":2}', LotExpired(lot=1, quantity=2)),
    (
        "units_adjusted",
        (
            '{"changes":[[1,"available","damaged",2],[4,null,"lost",1]],"recalled":[[1,"damaged",3]],'
            '"reason":"count","reference":"r-9"}'
        ),
        UnitsAdjusted(
            changes=((1, "available", "damaged", 2), (4, None, "lost", 1)),
            recalled=((1, "damaged", 3),),
            reason="count",
            reference="r-9",
        ),
    ),
    (
        "units_recalled",
        '{"lot":1,"state":"damaged","quantity":2}',
        UnitsRecalled(lot=1, state="damaged", quantity=2),
    ),
    (
        "order_repicked",
        '{"order":2,"returned":[[1,3]],"added":[[4,3]]}',
        OrderRepicked(order=2, returned=((1, 3),), added=((4, 3),)),
    ),
    (
        "ticket_option_opened",
        '{"name":"Concert","desc":"Row A","allocation":100}',
        TicketOptionOpened(name="Concert", desc="Row A", allocation=100),
    ),
    (
        "product_expected",
        '{"process":7,"step":1,"product":"tea"}',
        ProductExpected(process=7, step=1, product="tea"),
    ),
    (
        "units_sent",
        (
            '{"process":7,"step":2,"quantity":3,"lots":[{"quantity":3,"origin":[5,1],"received_at_ms":9'
            ',"code":"A","expires_at_ms":10,"reference":"r"}]}'
        ),
        UnitsSent(process=7, step=2, quantity=3, lots=(WHOLE,)),
    ),
    (
        "units_taken",
        '{"process":7,"step":3,"lot":{"quantity":3,"origin":[5,1],"received_at_ms":9},"last":true}',
        UnitsTaken(process=7, step=3, lot=PLAIN, last=True),
    ),
    (
        "send_refused",
        '{"process":7,"step":2,"requested":3,"available":2}',
        SendRefused(process=7, step=2, requested=3, available=2),
    ),
    (
        "send_refused",
        '{"process":7,"step":2,"requested":300,"available":400,"lots":300,"product":"tea"}',
        SendRefused(process=7, step=2, requested=300, available=400, lots=300, product="tea"),
    ),
    ("process_let_go", '{"process":7,"step":4}', ProcessLetGo(process=7, step=4)),
    (
        "move_requested",
        (
            '{"product":"tea","source":5,"destination":6,"from_code":"a","to_code":"b","quantity":3,'
            '"expects":true}'
        ),
        MoveRequested(
            product="tea",
            source=5,
            destination=6,
            from_code="a",
            to_code="b",
            quantity=3,
            expects=True,
        ),
    ),
    ("move_expected", "{}", MoveExpected()),
    (
        "move_sent",
        '{"lots":[{"quantity":3,"origin":[5,1],"received_at_ms":9}]}',
        MoveSent(lots=(PLAIN,)),
    ),
    ("move_done", "{}", MoveDone()),
    (
        "move_refused",
        '{"reason":{"type":"InsufficientStock","requested":3,"available":2}}',
        MoveRefused(reason=InsufficientStock(requested=3, available=2)),
    ),
    (
        "move_refused",
        '{"reason":{"type":"Occupied","product":"pot"}}',
        MoveRefused(reason=Occupied(product="pot")),
    ),
    (
        "move_refused",
        '{"reason":{"type":"TooManyLots","lots":300,"limit":256}}',
        MoveRefused(reason=TooManyLots(lots=300, limit=256)),
    ),
    ("move_ended", "{}", MoveEnded()),
    *STORED_CARTS,
    *STORED_FEEDS,
    *STORED_MISSING,
    *STORED_ORDERS,
]

# What the second versions say of a location that holds one product at a time.
STORED_SINCE_2: list[tuple[str, str, Event]] = [
    (
        "stock_received",
        '{"quantity":5,"product":"tea"}',
        StockReceived(quantity=5, product="tea"),
    ),
    (
        "order_placed",
        '{"quantity":3,"picks":[[1,3]],"product":"tea"}',
        OrderPlaced(quantity=3, picks=((1, 3),), product="tea"),
    ),
    (
        "order_dispatched",
        '{"order":2,"quantity":3,"picks":[[1,3]],"product":"tea"}',
        OrderDispatched(order=2, quantity=3, picks=((1, 3),), product="tea"),
    ),
    (
        "order_cancelled",
        '{"order":2,"quantity":3,"picks":[[1,3]],"product":"tea"}',
        OrderCancelled(order=2, quantity=3, picks=((1, 3),), product="tea"),
    ),
    (
        "lot_expired",
        '{"lot":1,"quantity":2,"product":"tea"}',
        LotExpired(lot=1, quantity=2, product="tea"),
    ),
    (
        "units_sent",
        (
            '{"process":7,"step":2,"quantity":3,"lots":[{"quantity":3,"origin":[5,1],'
            '"received_at_ms":9}],"product":"tea"}'
        ),
        UnitsSent(process=7, step=2, quantity=3, lots=(PLAIN,), product="tea"),
    ),
    (
        "units_taken",
        (
            '{"process":7,"step":3,"lot":{"quantity":3,"origin":[5,1],"received_at_ms":9},'
            '"last":false,"product":"tea"}'
        ),
        UnitsTaken(process=7, step=3, lot=PLAIN, last=False, product="tea"),
    ),
]


@pytest.mark.parametrize(("kind", "body", "event"), STORED + STORED_SINCE_2)
def test_an_event_is_stored_as_it_always_was(kind: str, body: str, event: Event) -> None:
    assert KINDS[type(event)] == kind
    assert encode_event(event).decode() == body


@pytest.mark.parametrize(("kind", "body", "event"), STORED)
def test_a_stored_event_is_read_as_it_always_was(kind: str, body: str, event: Event) -> None:
    assert decode_event(kind=kind, version=1, body=body) == event


@pytest.mark.parametrize(("kind", "body", "event"), STORED + STORED_SINCE_2)
def test_a_stored_event_of_today_is_read_as_it_was_written(
    kind: str, body: str, event: Event
) -> None:
    assert decode_event(kind=kind, version=VERSIONS[kind], body=body) == event


def test_every_kind_of_event_has_an_example_here() -> None:
    assert {kind for kind, _, _ in STORED} == set(KINDS.values())


@pytest.mark.parametrize(
    ("kind", "version"),
    [("lot_lost", 1), ("lot_expired", VERSIONS["lot_expired"] + 1), ("lot_expired", 0)],
)
def test_an_event_of_a_newer_release_is_not_guessed_at(kind: str, version: int) -> None:
    with pytest.raises(UnknownEventError, match=f"'{kind}' of unknown version {version}"):
        decode_event(kind=kind, version=version, body="{}")


@pytest.mark.parametrize("body", ["{}", '{"lot":"1","quantity":2}', '{"lot":1,"quantity":2'])
def test_a_body_that_was_tampered_with_is_not_an_event(body: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_event(kind="lot_expired", version=VERSIONS["lot_expired"], body=body)


def test_text_of_any_script_survives() -> None:
    event = OrderPlaced(quantity=1, picks=((1, 1),), customer='Žofie "Ω"\n\t\u2028😀')
    kind = KINDS[OrderPlaced]
    stored = decode_event(kind=kind, version=VERSIONS[kind], body=encode_event(event))

    assert stored == event
