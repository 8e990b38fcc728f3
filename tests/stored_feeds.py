"""What feeds journal, and pools that are fed, as it is stored."""

from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted
from allocator.domain.feeds import (
    FeedDeleted,
    FeedEnded,
    FeedPut,
    PartEnded,
    PollBegun,
    PollEnded,
    RunBegun,
    RunEnded,
)
from allocator.domain.holds import UnitsHeld
from allocator.domain.kinds import Event
from allocator.domain.messages import OrderCancelled
from allocator.domain.reconciling import (
    Committed,
    FeedAttached,
    FeedDetached,
    LotReconciled,
    ShortfallChanged,
)
from allocator.domain.transfers import ProcessLetGo, Transfer, UnitsTaken

# Never edit a line: it is in somebody's journal. A changed meaning is a new version.
STORED_FEEDS: list[tuple[str, str, Event]] = [
    (
        "feed_attached",
        '{"feed":522,"excludes":["damaged"],"lots":[[1,null,3,0],[4,"A",0,2]]}',
        FeedAttached(
            feed=522,
            excludes=("damaged",),
            lots=(
                Committed(lot=1, code=None, ordered=3),
                Committed(lot=4, code="A", aside=2),
            ),
        ),
    ),
    ("feed_attached", '{"feed":522}', FeedAttached(feed=522)),
    (
        "lot_reconciled",
        (
            '{"feed":522,"as_of":17,"code":"A","orderable":8,"applied":2,"before":0,"opened":10,'
            '"available":10,"expires_at_ms":9,"received_at_ms":5}'
        ),
        LotReconciled(
            feed=522,
            as_of=17,
            code="A",
            orderable=8,
            applied=2,
            before=0,
            opened=10,
            available=10,
            expires_at_ms=9,
            received_at_ms=5,
        ),
    ),
    (
        "lot_reconciled",
        (
            '{"feed":522,"as_of":18,"orderable":0,"applied":1,"before":5,'
            '"changes":[[4,-2],[1,-1]],"available":0,"short":1}'
        ),
        LotReconciled(
            feed=522,
            as_of=18,
            orderable=0,
            applied=1,
            before=5,
            changes=((4, -2), (1, -1)),
            available=0,
            short=1,
        ),
    ),
    (
        "lot_reconciled",
        (
            '{"feed":522,"as_of":18,"code":"A","orderable":4,"applied":0,"before":9,'
            '"expired":[[4,3],[6,2]],"available":4}'
        ),
        LotReconciled(
            feed=522,
            as_of=18,
            code="A",
            orderable=4,
            applied=0,
            before=9,
            expired=((4, 3), (6, 2)),
            available=4,
        ),
    ),
    (
        "feed_detached",
        '{"feed":522,"lots":[[1,null,3,0]]}',
        FeedDetached(feed=522, lots=(Committed(lot=1, code=None, ordered=3),)),
    ),
    ("feed_detached", '{"feed":522}', FeedDetached(feed=522)),
    ("shortfall_changed", '{"before":0,"short":3}', ShortfallChanged(before=0, short=3)),
    (
        "feed_put",
        (
            '{"warehouse":"main","url":"http://wms","poll_ms":60000,"rate_per_s":2.5,"burst":5,'
            '"excludes":["damaged"]}'
        ),
        FeedPut(
            warehouse="main",
            url="http://wms",
            poll_ms=60_000,
            rate_per_s=2.5,
            burst=5,
            excludes=("damaged",),
        ),
    ),
    ("feed_deleted", "{}", FeedDeleted()),
    ("feed_ended", "{}", FeedEnded()),
    ("poll_begun", '{"deadline_ms":9}', PollBegun(deadline_ms=9)),
    ("poll_ended", '{"poll":2}', PollEnded(poll=2)),
    (
        "poll_ended",
        '{"poll":2,"failure":"no answer","retry_after_ms":3000}',
        PollEnded(poll=2, failure="no answer", retry_after_ms=3000),
    ),
    (
        "run_begun",
        '{"poll":2,"as_of":17,"applied_through":4,"deadline_ms":9}',
        RunBegun(poll=2, as_of=17, applied_through=4, deadline_ms=9),
    ),
    (
        "run_begun",
        '{"as_of":17,"applied_through":4,"parts":3,"deadline_ms":9}',
        RunBegun(as_of=17, applied_through=4, parts=3, deadline_ms=9),
    ),
    (
        "part_ended",
        '{"run":3,"part":2,"lots":100,"differences":1}',
        PartEnded(run=3, part=2, lots=100, differences=1),
    ),
    (
        "run_ended",
        '{"run":3,"complete":true,"lots":300,"differences":4,"shortfall":1}',
        RunEnded(run=3, complete=True, lots=300, differences=4, shortfall=1),
    ),
    (
        "run_ended",
        (
            '{"run":3,"complete":false,"lots":100,"differences":4,"failure":"no answer",'
            '"retry_after_ms":3000}'
        ),
        RunEnded(
            run=3,
            complete=False,
            lots=100,
            differences=4,
            failure="no answer",
            retry_after_ms=3000,
        ),
    ),
]

_SAID = (
    "fed from now on, with 3 ordered",
    "fed from now on, with 0 ordered",
    "A: 8 orderable + 2 applied, where we had 0",
    "the units without a code: 0 orderable + 1 applied, where we had 5; short of 1",
    "A: 4 orderable + 0 applied, where we had 9; gone are 3 of #4, 2 of #6, past their date",
    "fed no longer",
    "fed no longer",
    "3 ordered units are missing, after 0",
    "to be fed from http://wms",
    "to be fed no longer",
    "no pool is fed any more",
    "asks for everything",
    "nothing new",
    'not heard: "no answer"',
    "hears what is there as of 17, applied through 4",
    "hears what is there as of 17, applied through 4",
    "part 2 heard: 1 difference",
    "all heard: 4 differences in 300 batches",
    'not all heard: "no answer"',
)

SAID_OF_FEEDS = [(event, said) for (_, _, event), said in zip(STORED_FEEDS, _SAID, strict=True)]
"""The same, as people read it."""

STORED_MISSING: list[tuple[str, str, Event]] = [
    (
        "order_cancelled",
        '{"order":2,"quantity":3,"picks":[[1,3]],"missing":[[1,2]]}',
        OrderCancelled(order=2, quantity=3, picks=((1, 3),), missing=((1, 2),)),
    ),
    (
        "process_let_go",
        '{"process":7,"step":4,"quantity":2,"picks":[[1,2]],"missing":[[1,2]]}',
        ProcessLetGo(process=7, step=4, quantity=2, picks=((1, 2),), missing=((1, 2),)),
    ),
    (
        "units_held",
        '{"process":7,"step":4,"order":3,"quantity":1,"returned":[[1,2]],"missing":[[1,1]]}',
        UnitsHeld(process=7, step=4, order=3, quantity=1, returned=((1, 2),), missing=((1, 1),)),
    ),
    (
        "units_taken",
        (
            '{"process":7,"step":3,"lot":{"quantity":3,"origin":[5,1],"received_at_ms":9},'
            '"last":true,"missing":[[8,2]]}'
        ),
        UnitsTaken(
            process=7,
            step=3,
            lot=Transfer(quantity=3, origin=(5, 1), received_at_ms=9),
            last=True,
            missing=((8, 2),),
        ),
    ),
    (
        "units_adjusted",
        '{"changes":[[1,"damaged","available",2]],"reason":"dried","missing":[[1,1]]}',
        UnitsAdjusted(changes=((1, "damaged", "available", 2),), reason="dried", missing=((1, 1),)),
    ),
    (
        "order_repicked",
        '{"order":2,"returned":[[1,3]],"added":[[4,3]],"missing":[[1,3]]}',
        OrderRepicked(order=2, returned=((1, 3),), added=((4, 3),), missing=((1, 3),)),
    ),
]
"""Units that become available of a pool that is short."""

_SAID_OF_MISSING = (
    "cancelled 3: 3 of #1; 2 of #1 stand for missing ones",
    "let go by a process that has ended; gave back 2 of #1; 2 of #1 stand for missing ones",
    "holds 1 for a process; gave back 2 of #1; 1 of #1 stand for missing ones",
    "took in 3 that had been sent out; 2 of #8 stand for missing ones",
    "adjusted (dried): 2 of #1 damaged to available; 1 of #1 stand for missing ones",
    "repicked: 3 of #4 for 3 of #1; 3 of #1 stand for missing ones",
)

SAID_OF_MISSING = [
    (event, said) for (_, _, event), said in zip(STORED_MISSING, _SAID_OF_MISSING, strict=True)
]
