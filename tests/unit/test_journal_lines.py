"""Rows as lines: every kind in words, and nothing in them that a terminal would obey."""

import json

import pytest

from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.carts import (
    CartClosed,
    CartEnded,
    CartExpired,
    CartOpened,
    LineHeld,
    LineRefused,
    LineWanted,
)
from allocator.domain.checkouts import (
    CheckoutBegun,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutUnknown,
    RefundDue,
)
from allocator.domain.codec import KINDS
from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.ids import IdSeal
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    InsufficientStock,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
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
from allocator.domain.orders import (
    Held,
    Line,
    LinesCancelled,
    LinesDispatched,
    LinesSettled,
    OrderAccepted,
    OrderDeclined,
    OrderRequested,
    Shortage,
)
from allocator.domain.pool import Balance
from allocator.domain.reconciling import ShortfallChanged
from allocator.domain.records import Record
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
from allocator.errors import UsageError
from allocator.journal.happenings import Happening, LotState, Place, meaning_of
from allocator.journal.lines import in_json, in_words, state_in_words
from allocator.journal.times import parse_time, text_of
from tests.builders import ACTOR, HOUR_MS, NOW_MS, records_of
from tests.stored_feeds import SAID_OF_FEEDS, SAID_OF_MISSING

IDS = IdSeal(bytes(32))
WHEN = "2023-11-14T22:13:20.000Z"
TEA = Place("main", "tea")
LOT = Transfer(quantity=3, origin=(5, 4), received_at_ms=NOW_MS)

LINE = Line(pool=5, warehouse="main", product="tea", quantity=3)

EVENTS: list[tuple[Event, str]] = [
    (StockReceived(quantity=5), "received 5"),
    (
        StockReceived(quantity=5, lot="B7", expires_at_ms=NOW_MS, reference="PO 1"),
        f'received 5, lot B7, expires {WHEN}, reference "PO 1"',
    ),
    (OrderPlaced(quantity=3, picks=((2, 1), (1, 2))), "ordered 3: 1 of #2, 2 of #1"),
    (OrderPlaced(quantity=3, picks=((2, 3),), customer="ada"), "ordered 3 for ada: 3 of #2"),
    (OrderDispatched(order=9, quantity=3, picks=((2, 3),)), "dispatched 3: 3 of #2"),
    (OrderCancelled(order=9, quantity=3, picks=((2, 3),)), "cancelled 3: 3 of #2"),
    (LotExpired(lot=2, quantity=3), "expired 3 of #2"),
    (
        OrderPartlyDispatched(order=9, quantity=1, picks=((2, 1),), left=2),
        "dispatched 1: 1 of #2; 2 stay",
    ),
    (
        UnitsAdjusted(
            changes=((2, "available", "damaged", 3), (4, "lost", None, 1), (9, None, "lost", 2)),
            recalled=((2, "damaged", 1), (3, "lost", -2)),
            reason="stock take",
            reference="r-9",
        ),
        (
            'adjusted ("stock take"): 3 of #2 available to damaged, wrote off 1 of #4, lost, '
            "found 2 of #9, lost, 1 of #2 recalled as damaged, 2 of #3 no longer recalled as lost, "
            "reference r-9"
        ),
    ),
    (
        UnitsRecalled(lot=2, state="damaged", quantity=1),
        "1 of #2 are damaged now, as they were recalled",
    ),
    (
        OrderRepicked(order=9, returned=((2, 1),), added=((4, 1),)),
        "repicked: 1 of #4 for 1 of #2",
    ),
    (
        UnitsHeld(process=7, step=1, order=9, quantity=3, added=((2, 1),), returned=((3, 2),)),
        "holds 3 for a process; took 1 of #2; gave back 2 of #3",
    ),
    (HoldRefused(process=7, step=1, requested=3, available=2), "does not hold 3: 2 available"),
    (
        HoldConfirmed(process=7, step=2, order=9, quantity=3, picks=((2, 3),)),
        "ordered 3 that were held: 3 of #2",
    ),
    (
        HoldConfirmed(process=7, step=1, order=9, quantity=3, picks=((2, 3),), held=False),
        "ordered 3 for a process: 3 of #2",
    ),
    (
        OrderAccepted(held=(Held(order=9, picks=((2, 3),)),), lines=(LINE,), customer="ada"),
        "ordered at once for ada: 3 of tea@main",
    ),
    (
        OrderDeclined(shortages=(Shortage(line=0, requested=3, available=2),), lines=(LINE,)),
        "declined at once: 3 of tea@main; 2 of 3 for line 1",
    ),
    (OrderRequested(lines=(LINE,), customer="ada"), "to order for ada: 3 of tea@main"),
    (OrderAccepted(held=(Held(order=9, picks=((2, 3),)),)), "ordered: everything is held"),
    (
        OrderDeclined(shortages=(Shortage(line=0, requested=3, available=2),)),
        "declined: 2 of 3 for line 1",
    ),
    (LinesDispatched(parts=((0, 1),)), "dispatched 1 of line 1"),
    (LinesCancelled(), "cancelled"),
    (LinesSettled(), "its pools have done what was decided"),
    (CartOpened(customer="7", ttl_ms=9, cap_ms=9), "opened for 7"),
    (LineWanted(line=LINE), "to hold 3 of tea@main"),
    (LineHeld(edit=2, order=9, picks=((2, 3),)), "#2 done: 3 of #2"),
    (LineHeld(edit=2, order=9, picks=()), "#2 done: nothing"),
    (LineRefused(edit=2, requested=3, available=1), "#2 not done: 1 of 3 available"),
    (CartClosed(), "closed by its customer"),
    (CartExpired(), "expired"),
    (CartEnded(), "ended: everything was let go"),
    (
        CheckoutBegun(items=(), amount=750, currency="EUR", client_id=7, deadline_ms=NOW_MS),
        "to be paid by 7: 750 minor units of EUR",
    ),
    (CheckoutPaid(attempt=4, held=(), reference="r 1"), '#4 paid, reference "r 1"'),
    (CheckoutPaid(attempt=4, held=(), resolved=True), "#4 paid, says an operator"),
    (CheckoutFailed(attempt=4, detail="402"), "#4 not paid: 402"),
    (CheckoutUnknown(attempt=4), "#4 nobody knows whether it is paid"),
    (RefundDue(attempt=4), "#4 paid all the same: to be given back"),
    (TicketOptionOpened(name="Row A", desc="x", allocation=9), 'opened "Row A": 9'),
    (ProductExpected(process=7, step=1, product="tea"), "expects tea"),
    (UnitsSent(process=7, step=2, quantity=3, lots=(LOT,)), "sent out 3: 3 of #4"),
    (
        SendRefused(process=7, step=2, requested=3, available=2),
        "does not send out 3: 2 available",
    ),
    (UnitsTaken(process=7, step=3, lot=LOT, last=True), "took in 3 that had been sent out"),
    (ProcessLetGo(process=7, step=4), "let go by a process that has ended"),
    (ProcessLetGo(process=7, step=4, of_cart=True), "let go by a cart"),
    (
        ProcessLetGo(process=7, step=2, quantity=3, picks=((4, 2), (5, 1))),
        "let go by a process that has ended; gave back 2 of #4, 1 of #5",
    ),
    (
        MoveRequested(
            product="tea",
            source=5,
            destination=6,
            from_code="a",
            to_code="b c",
            quantity=3,
            expects=True,
        ),
        'to move 3 of tea from a to "b c"',
    ),
    (MoveExpected(), "the destination is ready"),
    (MoveSent(lots=(LOT,)), "left the source: 3 of #4"),
    (MoveDone(), "arrived"),
    (
        MoveRefused(reason=InsufficientStock(requested=3, available=2)),
        "refused: 2 available",
    ),
    (MoveRefused(reason=Occupied(product="pot")), "refused: occupied by pot"),
    (MoveRefused(reason=TooManyLots(lots=300, limit=256)), "refused: spread over 300 lots"),
    (MoveEnded(), "ended"),
    *SAID_OF_FEEDS,
    (ShortfallChanged(before=3, short=1), "1 ordered unit is missing, after 3"),
    (ShortfallChanged(before=1, short=0), "no ordered unit is missing any more, after 1"),
    *SAID_OF_MISSING,
]


def row(  # noqa: PLR0913 (one argument a column)
    kind: str,
    body: str,
    *,
    seq: int = 1,
    version: int = 1,
    principal: str = "",
    key: str | None = None,
) -> Record:
    return Record(
        actor_id=ACTOR,
        seq=seq,
        at_ms=NOW_MS,
        kind=kind,
        version=version,
        body=body,
        digest=b"",
        principal=principal,
        idempotency_key=key,
    )


def happening(record: Record, place: Place = TEA) -> Happening:
    return Happening(place=place, record=record, meaning=meaning_of(record))


def words(record: Record, place: Place = TEA) -> list[str]:
    return in_words(happening(record, place), ids=IDS).split("  ")


@pytest.mark.parametrize(("event", "said"), EVENTS)
def test_every_event_is_told_in_words(event: Event, said: str) -> None:
    [record] = records_of([(NOW_MS, event)])

    assert words(record)[:4] == [WHEN, "tea@main", "#1", said]


def test_no_kind_of_event_was_forgotten() -> None:
    assert {type(event) for event, _ in EVENTS} == set(KINDS)


@pytest.mark.parametrize(
    ("event", "thing"),
    [
        (EVENTS[0][0], f"stock {IDS.seal(ACTOR, 1)}"),
        (EVENTS[2][0], f"order {IDS.seal(ACTOR, 1)}"),
        (EVENTS[4][0], f"order {IDS.seal(ACTOR, 9)}"),
        (EVENTS[5][0], f"order {IDS.seal(ACTOR, 9)}"),
        (EVENTS[6][0], f"stock {IDS.seal(ACTOR, 2)}"),
    ],
)
def test_the_thing_is_named_by_the_id_that_the_api_gave(event: Event, thing: str) -> None:
    [record] = records_of([(NOW_MS, event)])

    assert words(record)[4] == thing


@pytest.mark.parametrize("event", [EVENTS[3][0], EVENTS[7][0]])
def test_whatever_happens_to_tickets_happens_to_their_option(event: Event) -> None:
    [record] = records_of([(NOW_MS, event)])
    place, option = Place.of(f"pool:{ACTOR}"), IDS.seal(ACTOR, 1)

    assert words(record, place)[1] == f"ticket option {option}"
    told = json.loads(in_json(happening(record, place), ids=IDS))
    assert [told[name] for name in ("thing", "id", "warehouse", "product")] == [
        *("ticket_option", option),
        *(None, None),
    ]


def test_who_did_it_with_which_key_ends_the_line() -> None:
    record = row("stock_received", '{"quantity":1}', principal="till 3", key="k-1")

    assert words(record)[5:] == ['by "till 3"', "key k-1"]


@pytest.mark.parametrize(
    ("key", "kind", "body", "said"),
    [
        ("warehouse:main", "warehouse_put", '{"name":"Main"}', ["warehouse main", 'named "Main"']),
        (
            "webhook:shop",
            "webhook_put",
            '{"url":"https://x.example/","product":"tea","warehouse":null,"kinds":["order_placed"]}',
            ["webhook shop", "tells https://x.example/, product tea, order_placed"],
        ),
        ("webhook:shop", "webhook_rotated", "{}", ["webhook shop", "has a new secret"]),
        ("webhook:shop", "webhook_deleted", "{}", ["webhook shop", "deleted"]),
        (
            "product:tea",
            "product_put",
            '{"name":"Tea","price":{"amount":480,"currency":"EUR"}}',
            ["product tea", 'named "Tea", price 480 EUR'],
        ),
        ("product:tea", "product_put", '{"name":"Té","price":null}', ["product tea", 'named "Té"']),
    ],
)
def test_changes_of_the_catalogue_are_told_too(
    key: str, kind: str, body: str, said: list[str]
) -> None:
    line = words(row(kind, body), Place.of(key))

    assert [line[1], *line[3:]] == said


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (row("moved", '{"to":"far"}', version=3), 'moved version 3: {"to":"far"}'),
        (row("stock_received", "[]"), "stock_received version 1: []"),
        (row("stock_received", '{"quantity":1}', version=9), 'version 9: {"quantity":1}'),
    ],
)
def test_what_this_release_does_not_know_is_shown_as_it_is(record: Record, said: str) -> None:
    assert words(record)[3].endswith(said)
    assert len(words(record)) == 4


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "\x9b31m", "\u202egnp", "\x00"])
def test_a_terminal_is_never_told_anything_by_a_customer(hostile: str) -> None:
    body = json.dumps({"quantity": 1, "picks": [[1, 1]], "customer": hostile})
    line = in_words(happening(row("order_placed", body)), ids=IDS)

    assert line.isprintable()
    assert json.dumps(hostile) in line


def test_a_json_line_is_one_line_whatever_is_in_it() -> None:
    body = '{"quantity":1,"picks":[[1,1]],"customer":"a\\nb"}'
    line = in_json(happening(row("order_placed", body)), ids=IDS)

    assert "\n" not in line
    assert json.loads(line)["body"]["customer"] == "a\nb"


def test_a_state_tells_what_there_is_and_leaves_out_what_is_not() -> None:
    lot = LotState(available=1, ordered=2, held=0, expired=0)
    pool = Balance(version=9, available=0, ordered=2, held=3, expired=4)

    assert state_in_words("new") == "new"
    assert state_in_words(lot) == "1 available, 2 ordered, 3 on hand"
    assert state_in_words(pool) == "2 ordered, 3 held, 4 expired, 9 on hand"


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        (WHEN, NOW_MS),
        ("2023-11-14T23:13:20+01:00", NOW_MS),
        ("2023-11-14T22:13:20.0019Z", NOW_MS + 1),
        ("1h", NOW_MS - HOUR_MS),
        ("60m", NOW_MS - HOUR_MS),
        ("3600s", NOW_MS - HOUR_MS),
        ("2d", NOW_MS - 48 * HOUR_MS),
        ("999999999d", 0),
    ],
)
def test_a_time_is_meant_absolutely_or_from_now_backwards(text: str, at_ms: int) -> None:
    assert parse_time(text, now_ms=NOW_MS) == at_ms


@pytest.mark.parametrize("text", ["", "now", "1w", "-1h", "1.5h", "2023-11-14", "2023-11-14T22:13"])
def test_what_is_no_time_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time: write 2026-11-21T04:58:10Z"):
        parse_time(text, now_ms=NOW_MS)


def test_times_are_told_to_the_millisecond_and_all_alike() -> None:
    assert [text_of(NOW_MS), text_of(NOW_MS + 7)] == [WHEN, WHEN.replace(".000", ".007")]
