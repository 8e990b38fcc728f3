"""The values of the examples: one small story, told by all of them.

A hundred packs of tea arrive at the main warehouse, and a customer orders two. Thirty packs
are moved to a shelf; then somebody buys two tickets of a hundred for a tasting.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from allocator.domain.catalogue import Location, Price, Product, Warehouse
from allocator.domain.codec import KINDS, VERSIONS, encode_event
from allocator.domain.messages import Event, OrderPlaced, StockReceived
from allocator.http.adjustment_shapes import Adjustment, StateChange
from allocator.http.cart_shapes import Bought, Cart, CartLine, CartPrice, Checkout, PaidPurchase
from allocator.http.place_shapes import LocationLevels, Move, MovedLot
from allocator.http.shapes import (
    JournalEvent,
    JournalPage,
    Listing,
    Order,
    OrderLine,
    Pick,
    Purchase,
    Stock,
    StockBalance,
    TicketOption,
    ms_of,
)

STOCK_ID: Final = "3c69edb2-11ca-8e3d-b4db-df78390709bd"
ORDER_ID: Final = "813f74ad-5f45-8f78-982c-5bc8016c96f7"
MOVE_ID: Final = "20d2b0c6-8f0b-8d4e-a1f7-6b1f3b0e9c55"

CART_ID: Final = "a7a2dbc4-8de0-8f35-b0c1-9d0b1f5d2a64"
CHECKOUT_ID: Final = "6f1c2f0e-4b7d-8b1a-8c55-e2f9d7a31b08"
PAID_ORDER_ID: Final = "d24b9d6e-1f3a-8e77-a2c4-0b8e5c7f9a13"

OPTION_ID: Final = "5d0c1d5e-6f52-8a3c-9f0e-2c1b7a9e4d10"
USER_ID: Final = "406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c"

_EXPIRES_AT: Final = datetime(2031, 6, 30, tzinfo=UTC)
_RECEIVED_AT: Final = datetime(2026, 3, 2, 8, 30, 15, tzinfo=UTC)
_ORDERED_AT: Final = datetime(2026, 3, 2, 9, 5, 41, tzinfo=UTC)
_ADJUSTED_AT: Final = datetime(2026, 3, 2, 9, 8, 30, tzinfo=UTC)
_CARTED_AT: Final = datetime(2026, 3, 2, 9, 30, 0, tzinfo=UTC)
_PAID_AT: Final = datetime(2026, 3, 2, 9, 32, 11, tzinfo=UTC)
_MOVED_AT: Final = datetime(2026, 3, 2, 9, 12, 8, tzinfo=UTC)

MAIN: Final = Warehouse(code="main", name="Main warehouse")
NORTH: Final = Warehouse(code="north", name="North")
TEA: Final = Product(sku="tea-01", name="Green tea, 100 g", price=Price(amount=250, currency="EUR"))
POT: Final = Product(sku="pot-07", name="Tea pot")

RECEIVED: Final = Stock(
    id=STOCK_ID,
    product="tea-01",
    warehouse="main",
    quantity=100,
    available=100,
    lot="L-2031",
    expires_at=_EXPIRES_AT,
    received_at=_RECEIVED_AT,
    reference="PO-1042",
    origin=None,
    unallocatable={},
    recalled=0,
)
STOCK: Final = msgspec.structs.replace(RECEIVED, available=98)

PLACED: Final = Order(
    id=ORDER_ID,
    status="new",
    customer="c-42",
    created_at=_ORDERED_AT,
    lines=[OrderLine("tea-01", "main", 2, [Pick(STOCK_ID, 2)], 0)],
)
DISPATCHED: Final = msgspec.structs.replace(
    PLACED,
    status="dispatched",
    lines=[OrderLine("tea-01", "main", 2, [Pick(STOCK_ID, 2)], 2)],
)
CANCELLED: Final = msgspec.structs.replace(PLACED, status="cancelled")
OF_BATCH: Final = Order(
    id="4edf7b38-6847-8ef1-a0d4-ec1baf69dce6",
    status="new",
    customer="c-43",
    created_at=_ORDERED_AT,
    lines=[OrderLine("tea-01", "main", 1, [Pick(STOCK_ID, 1)], 0)],
)

BALANCE: Final = StockBalance(
    product="tea-01",
    warehouse="main",
    available=98,
    ordered=2,
    held=0,
    unallocatable={"expired": 0},
    on_hand=100,
    version=2,
)

DAMAGED: Final = Adjustment(
    id="0f3c4a1e-7d52-8c1b-9a6e-3b5d2f8e7c11",
    product="tea-01",
    warehouse="main",
    at=_ADJUSTED_AT,
    reason="water damage",
    reference="report-9",
    changes=[StateChange(stock=STOCK_ID, source="available", target="damaged", quantity=3)],
    recalled=[],
    version=7,
)
COUNTED: Final = Adjustment(
    id="8a1d7e62-3c40-8f95-b2d8-6e0c4b7a9f23",
    product="tea-01",
    warehouse="main",
    at=_ADJUSTED_AT,
    reason="stocktake",
    reference=None,
    changes=[StateChange(stock=STOCK_ID, source="damaged", target=None, quantity=1)],
    recalled=[],
    version=8,
)

SHELF: Final = Location(code="shelf-07", name="Shelf 7", warehouse="main", single_product=True)
MOVE: Final = Move(
    id=MOVE_ID,
    product="tea-01",
    source="main",
    destination="shelf-07",
    quantity=30,
    status="done",
    requested_at=_MOVED_AT,
    decided_at=_MOVED_AT,
    lots=[MovedLot(origin=STOCK_ID, quantity=30)],
    reason=None,
)
LEVELS: Final = LocationLevels(
    code=SHELF.code,
    name=SHELF.name,
    warehouse=SHELF.warehouse,
    single_product=SHELF.single_product,
    levels=[
        StockBalance(
            product="tea-01",
            warehouse="shelf-07",
            available=30,
            ordered=0,
            held=0,
            unallocatable={"expired": 0},
            on_hand=30,
            version=3,
        )
    ],
    next_cursor=None,
)
LOCATIONS: Final = Listing(items=[LEVELS], next_cursor=None)
MOVES: Final = Listing(items=[MOVE], next_cursor=None)

OPTION: Final = TicketOption(
    id=OPTION_ID, name="Tea tasting", desc="An evening of green tea.", allocation=100
)
PURCHASES: Final = Listing(
    items=[Purchase(user_id=USER_ID, quantity=2, purchased_at=_ORDERED_AT)], next_cursor=None
)

EMPTY_CART: Final = Cart(
    id=CART_ID,
    customer="42",
    status="open",
    created_at=_CARTED_AT,
    expires_at=_CARTED_AT + timedelta(minutes=15),
    changing=False,
    lines=[],
    checkout=None,
    order=None,
)
CART: Final = msgspec.structs.replace(
    EMPTY_CART,
    lines=[
        CartLine(
            product="tea-01",
            warehouse="main",
            quantity=2,
            price=CartPrice(amount=250, currency="EUR"),
        )
    ],
)
_ITEMS: Final = [Bought(product="tea-01", warehouse="main", quantity=2, price=250)]
CAPTURING: Final = Checkout(
    id=CHECKOUT_ID,
    cart=CART_ID,
    status="capturing",
    amount=500,
    currency="EUR",
    items=_ITEMS,
    created_at=_CARTED_AT,
    changed_at=_CARTED_AT,
    deadline=_CARTED_AT + timedelta(minutes=10),
    order=None,
    reference=None,
    detail=None,
    resolved=False,
)
PAID: Final = msgspec.structs.replace(
    CAPTURING,
    status="paid",
    changed_at=_PAID_AT,
    order=PAID_ORDER_ID,
    reference="charge-1",
    detail="answered 201",
)
RESOLVED: Final = msgspec.structs.replace(PAID, detail="answered 502", resolved=True)
PAID_PURCHASES: Final = Listing(
    items=[
        PaidPurchase(
            checkout=CHECKOUT_ID,
            order=PAID_ORDER_ID,
            customer="42",
            amount=500,
            currency="EUR",
            items=_ITEMS,
            paid_at=_PAID_AT,
        )
    ],
    next_cursor=None,
)

WAREHOUSES: Final = Listing(items=[MAIN, NORTH], next_cursor=None)
PRODUCTS: Final = Listing(items=[POT, TEA], next_cursor=None)
STOCKS: Final = Listing(items=[STOCK], next_cursor=None)
BALANCES: Final = Listing(items=[BALANCE], next_cursor=None)
ORDERS: Final = Listing(items=[PLACED], next_cursor=None)


def _event(seq: int, at: datetime, event: Event, *, key: str | None) -> JournalEvent:
    kind = KINDS[type(event)]
    return JournalEvent(
        seq=seq,
        at=at,
        kind=kind,
        version=VERSIONS[kind],
        principal="",
        idempotency_key=key,
        body=msgspec.Raw(encode_event(event)),
    )


JOURNAL: Final = JournalPage(
    items=[
        _event(
            1,
            _RECEIVED_AT,
            StockReceived(
                quantity=100,
                lot="L-2031",
                expires_at_ms=ms_of(_EXPIRES_AT),
                reference="PO-1042",
            ),
            key="delivery-1042",
        ),
        _event(
            2,
            _ORDERED_AT,
            OrderPlaced(quantity=2, picks=((1, 2),), customer="c-42"),
            key="order-7781",
        ),
    ],
    next_after=None,
)
