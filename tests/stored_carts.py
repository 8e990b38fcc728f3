"""What carts journal, as it is stored."""

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
    Item,
    RefundDue,
)
from allocator.domain.kinds import Event
from allocator.domain.orders import Held, Line

ITEM = Item(pool=266, warehouse="ber", product="tea", quantity=2, price=250)
HELD = Held(order=4, picks=((1, 2),))

# Never edit a line: it is in somebody's journal. A changed meaning is a new version.
STORED_CARTS: list[tuple[str, str, Event]] = [
    (
        "cart_opened",
        '{"customer":"7","ttl_ms":900000,"cap_ms":7200000}',
        CartOpened(customer="7", ttl_ms=900_000, cap_ms=7_200_000),
    ),
    (
        "cart_opened",
        '{"ttl_ms":900000,"cap_ms":7200000}',
        CartOpened(ttl_ms=900_000, cap_ms=7_200_000),
    ),
    (
        "line_wanted",
        '{"line":{"pool":266,"warehouse":"ber","product":"tea","quantity":2}}',
        LineWanted(line=Line(pool=266, warehouse="ber", product="tea", quantity=2)),
    ),
    (
        "line_wanted",
        '{"line":{"pool":266,"warehouse":"shelf","product":"tea","quantity":0,"told":"tea"}}',
        LineWanted(line=Line(pool=266, warehouse="shelf", product="tea", quantity=0, told="tea")),
    ),
    (
        "line_held",
        '{"edit":2,"order":4,"picks":[[1,2]]}',
        LineHeld(edit=2, order=4, picks=((1, 2),)),
    ),
    (
        "line_refused",
        '{"edit":2,"requested":3,"available":1}',
        LineRefused(edit=2, requested=3, available=1),
    ),
    ("cart_closed", "{}", CartClosed()),
    ("cart_expired", "{}", CartExpired()),
    ("cart_ended", "{}", CartEnded()),
    (
        "checkout_begun",
        (
            '{"items":[{"pool":266,"warehouse":"ber","product":"tea","quantity":2,"price":250}],'
            '"amount":500,"currency":"EUR","client_id":7,"deadline_ms":1700000600000}'
        ),
        CheckoutBegun(
            items=(ITEM,),
            amount=500,
            currency="EUR",
            client_id=7,
            deadline_ms=1_700_000_600_000,
        ),
    ),
    (
        "checkout_paid",
        (
            '{"attempt":4,"held":[{"order":4,"picks":[[1,2]]}],"reference":"ch_1","detail":"ok",'
            '"resolved":true}'
        ),
        CheckoutPaid(attempt=4, held=(HELD,), reference="ch_1", detail="ok", resolved=True),
    ),
    (
        "checkout_paid",
        '{"attempt":4,"held":[{"order":4,"picks":[[1,2]]}]}',
        CheckoutPaid(attempt=4, held=(HELD,)),
    ),
    (
        "checkout_failed",
        '{"attempt":4,"reference":"ch_1","detail":"no money","resolved":true}',
        CheckoutFailed(attempt=4, reference="ch_1", detail="no money", resolved=True),
    ),
    ("checkout_failed", '{"attempt":4}', CheckoutFailed(attempt=4)),
    (
        "checkout_unknown",
        '{"attempt":4,"reference":"ch_1","detail":"no answer"}',
        CheckoutUnknown(attempt=4, reference="ch_1", detail="no answer"),
    ),
    ("checkout_unknown", '{"attempt":4}', CheckoutUnknown(attempt=4)),
    (
        "refund_due",
        '{"attempt":4,"reference":"ch_1","detail":"late"}',
        RefundDue(attempt=4, reference="ch_1", detail="late"),
    ),
    ("refund_due", '{"attempt":4}', RefundDue(attempt=4)),
]
