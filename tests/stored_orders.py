"""What orders of several lines journal, and pools for them, as it is stored."""

from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.kinds import Event
from allocator.domain.messages import OrderPartlyDispatched
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

LINE = Line(pool=266, warehouse="ber", product="tea", quantity=3)
STORED_LINE = '{"pool":266,"warehouse":"ber","product":"tea","quantity":3}'

# Never edit a line: it is in somebody's journal. A changed meaning is a new version.
STORED_ORDERS: list[tuple[str, str, Event]] = [
    (
        "units_held",
        '{"process":7,"step":1,"order":4,"quantity":3,"added":[[1,3]]}',
        UnitsHeld(process=7, step=1, order=4, quantity=3, added=((1, 3),)),
    ),
    (
        "units_held",
        '{"process":7,"step":2,"order":4,"quantity":1,"returned":[[1,2]],"product":"tea"}',
        UnitsHeld(process=7, step=2, order=4, quantity=1, returned=((1, 2),), product="tea"),
    ),
    (
        "hold_refused",
        '{"process":7,"step":1,"requested":3,"available":2}',
        HoldRefused(process=7, step=1, requested=3, available=2),
    ),
    (
        "hold_confirmed",
        '{"process":7,"step":2,"order":4,"quantity":3,"picks":[[1,3]]}',
        HoldConfirmed(process=7, step=2, order=4, quantity=3, picks=((1, 3),)),
    ),
    (
        "hold_confirmed",
        '{"process":7,"step":1,"order":4,"quantity":3,"picks":[[1,3]],"held":false}',
        HoldConfirmed(process=7, step=1, order=4, quantity=3, picks=((1, 3),), held=False),
    ),
    (
        "order_partly_dispatched",
        '{"order":4,"quantity":1,"picks":[[1,1]],"left":2}',
        OrderPartlyDispatched(order=4, quantity=1, picks=((1, 1),), left=2),
    ),
    (
        "order_requested",
        '{"lines":[{"pool":266,"warehouse":"ber","product":"tea","quantity":3}],"customer":"ada"}',
        OrderRequested(lines=(LINE,), customer="ada"),
    ),
    (
        "order_accepted",
        '{"held":[{"order":4,"picks":[[1,3]]}]}',
        OrderAccepted(held=(Held(order=4, picks=((1, 3),)),)),
    ),
    (
        "order_accepted",
        '{"held":[{"order":4,"picks":[[1,3]]}],"lines":[' + STORED_LINE + '],"customer":"ada"}',
        OrderAccepted(held=(Held(order=4, picks=((1, 3),)),), lines=(LINE,), customer="ada"),
    ),
    (
        "order_declined",
        '{"shortages":[{"line":0,"requested":3,"available":2}],"lines":[' + STORED_LINE + "]}",
        OrderDeclined(shortages=(Shortage(line=0, requested=3, available=2),), lines=(LINE,)),
    ),
    (
        "order_declined",
        '{"shortages":[{"line":0,"requested":3,"available":2}]}',
        OrderDeclined(shortages=(Shortage(line=0, requested=3, available=2),)),
    ),
    ("lines_dispatched", '{"parts":[[0,1]]}', LinesDispatched(parts=((0, 1),))),
    ("lines_cancelled", "{}", LinesCancelled()),
    ("lines_settled", "{}", LinesSettled()),
]
