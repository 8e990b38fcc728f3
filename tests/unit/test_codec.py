"""The storage format: what was written once is read for ever."""

import msgspec
import pytest

from allocator.domain.codec import (
    KINDS,
    VERSIONS,
    UnknownEventError,
    decode_event,
    encode_event,
)
from allocator.domain.messages import (
    Event,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
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
]


@pytest.mark.parametrize(("kind", "body", "event"), STORED)
def test_an_event_is_stored_as_it_always_was(kind: str, body: str, event: Event) -> None:
    assert KINDS[type(event)] == kind
    assert encode_event(event).decode() == body


@pytest.mark.parametrize(("kind", "body", "event"), STORED)
def test_a_stored_event_is_read_as_it_always_was(kind: str, body: str, event: Event) -> None:
    assert decode_event(kind=kind, version=1, body=body) == event


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
