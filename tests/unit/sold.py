"""A tiny 12.12 event in which nothing went wrong, for tests to make something go wrong.

Ada (1) pays for two teas. Bob (2) is charged for four, and nobody knows. Cleo (3) wants one and
finds none. Dan (7) orders one tea, Eve (8) three with a pot, Gus (6) one with a pot, which was
decided at once. Fay (9) is refused two. All that was sold has left.
"""

from itertools import count

import msgspec

from allocator.domain.records import GENESIS, chain
from bench.chaos_ledger import Row
from bench.event_evidence import Charge, Facts
from bench.event_history import Edit, History, Look, Ordered, Payment, Sent, Short, Visit, Wanted
from bench.event_ledger import Journal
from bench.event_requests import Checkout, Item, Purchase

TEA, POT, ADA, BOB, CLEO, EVE, GUS = (number << 8 for number in range(1, 8))
EPOCH_MS = 1_000

Told = tuple[str, str, dict[str, object]]
"""An event as (kind, key, body)."""


def journal_of(actor_id: int, *events: Told) -> list[Row]:
    """A sound journal of an actor."""
    rows: list[Row] = []
    for seq, (kind, key, body) in enumerate(events, start=1):
        row = Row(
            actor_id=actor_id,
            seq=seq,
            at_ms=EPOCH_MS + 10 * seq,
            kind=kind,
            version=1,
            body=msgspec.json.encode(body).decode(),
            digest=b"",
            principal="",
            idempotency_key=key or None,
            request_digest=None,
        )
        rows.append(sealed(row, rows[-1].digest if rows else GENESIS))
    return rows


def sealed(row: Row, previous: bytes) -> Row:
    """A row with its digest."""
    fields = {each: getattr(row, each) for each in row.__struct_fields__ if each != "digest"}
    return msgspec.structs.replace(row, digest=chain(previous, **fields))


def events_of(rows: list[Row]) -> list[Told]:
    """What `journal_of` makes these rows of."""
    return [(row.kind, row.idempotency_key or "", msgspec.json.decode(row.body)) for row in rows]


def held(process: int, step: int, *, order: int, units: int) -> Told:
    body = {"process": process, "step": step, "order": order, "quantity": units}
    return ("units_held", "", body | {"added": [[1, units]]})


def confirmed(process: int, *, order: int, units: int, at_once: bool = False) -> Told:
    body = {"process": process, "step": 9, "order": order, "quantity": units}
    body |= {"held": False} if at_once else {}
    return ("hold_confirmed", "", body | {"picks": [[1, units]]})


def left(order: int, units: int) -> Told:
    return ("order_dispatched", "", {"order": order, "quantity": units, "picks": [[1, units]]})


def cart(number: int, units: int, *then: Told) -> list[Told]:
    """A cart with so many teas."""
    line = {"pool": TEA, "warehouse": "main", "product": "tea", "quantity": units}
    opened = {"customer": str(number), "ttl_ms": 1, "cap_ms": 1}
    return [("cart_opened", f"cart-{number}", opened), ("line_wanted", "", {"line": line}), *then]


def begun(number: int, units: int) -> Told:
    item = {"pool": TEA, "warehouse": "main", "product": "tea", "quantity": units, "price": 250}
    body = {"items": [item], "amount": 250 * units, "currency": "EUR", "client_id": number}
    return ("checkout_begun", f"pay-{number}", body | {"deadline_ms": 9_999})


def journal() -> Journal:
    tea = journal_of(
        TEA,
        ("stock_received", "", {"quantity": 11}),
        held(ADA, 2, order=2, units=2),
        ("order_placed", "order-7", {"quantity": 1, "picks": [[1, 1]], "customer": "7"}),
        held(EVE, 1, order=4, units=3),
        confirmed(EVE, order=4, units=3),
        confirmed(ADA, order=2, units=2),
        confirmed(GUS, order=7, units=1, at_once=True),
        held(BOB, 2, order=8, units=4),
        ("hold_refused", "", {"process": CLEO, "step": 2, "requested": 1, "available": 0}),
        left(3, 1),
        left(4, 3),
        left(2, 2),
        left(7, 1),
    )
    pot = journal_of(
        POT,
        ("stock_received", "", {"quantity": 2}),
        held(EVE, 1, order=2, units=1),
        confirmed(EVE, order=2, units=1),
        confirmed(GUS, order=4, units=1, at_once=True),
        left(2, 1),
        left(4, 1),
    )
    paid = ("checkout_paid", "", {"attempt": 3, "held": [], "reference": "charge-1"})
    pot_line = {"pool": POT, "warehouse": "main", "product": "pot", "quantity": 1}
    lines = [{"pool": TEA, "warehouse": "main", "product": "tea", "quantity": 3}, pot_line]
    few = [{"pool": TEA, "warehouse": "main", "product": "tea", "quantity": 1}, pot_line]
    return Journal(
        pools={"tea": tea, "pot": pot},
        carts={
            ADA: journal_of(ADA, *cart(1, 2, begun(1, 2), paid)),
            BOB: journal_of(
                BOB, *cart(2, 4, begun(2, 4), ("checkout_unknown", "", {"attempt": 3}))
            ),
            CLEO: journal_of(CLEO, *cart(3, 1, ("cart_closed", "", {}))),
        },
        orders={
            EVE: journal_of(
                EVE,
                ("order_requested", "order-8", {"lines": lines, "customer": "8"}),
                ("order_accepted", "", {"held": []}),
                ("lines_dispatched", "", {"parts": [], "order": 1}),
            ),
            GUS: journal_of(
                GUS,
                ("order_accepted", "order-6", {"held": [], "lines": few, "customer": "6"}),
                ("lines_dispatched", "", {"parts": [], "order": 1}),
            ),
        },
    )


def history() -> History:
    clock = count(100, 100)
    ids = (f"id-{number}" for number in count())

    def done(wanted: Wanted, status: int = 201) -> None:
        wanted.asked_ns, wanted.answered_ns, wanted.status = next(clock), next(clock), status
        if status in {201, 202}:
            wanted.ids.add(next(ids))

    def visit(number: int, units: int) -> Visit:
        opened = Wanted(key=f"cart-{number}")
        done(opened)
        return Visit(
            customer=str(number),
            opened=opened,
            edits=[Edit(key=f"edit-{number}", product="tea", quantity=units)],
        )

    def pay(visit: Visit, seen: str) -> None:
        visit.payments.append(Payment(key=f"pay-{visit.customer}", seen=seen))
        done(visit.payments[0], 202)

    def order(number: int, lines: dict[str, int]) -> Ordered:
        return Ordered(key=f"order-{number}", customer=str(number), lines=lines)

    ada, bob, cleo = visit(1, 2), visit(2, 4), visit(3, 1)
    dan, eve, fay = order(7, {"tea": 1}), order(8, {"tea": 3, "pot": 1}), order(9, {"tea": 2})
    gus = order(6, {"tea": 1, "pot": 1})
    done(ada.edits[0], 200)
    look = Look(
        product="tea",
        version=2,
        numbers=(9, 0, 2, 11),
        asked_ns=next(clock),
        answered_ns=next(clock),
    )
    done(dan)
    done(eve)
    pay(ada, "paid")
    done(gus)
    done(bob.edits[0], 200)
    pay(bob, "unknown")
    done(cleo.edits[0], 409)
    cleo.edits[0].short = (1, 0)
    done(fay, 409)
    assert fay.answered_ns is not None
    short = Short(
        product="tea",
        requested=2,
        available=0,
        asked_ns=fay.asked_ns,
        answered_ns=fay.answered_ns,
    )
    return History(
        opened_ns=1,
        visits=[ada, bob, cleo],
        orders=[dan, eve, fay, gus],
        looks=[look],
        shorts=[short],
        sent=[
            Sent(key="order-7", status=200, customer="7", lines={"tea": 1}),
            Sent(key="order-8", status=200, customer="8", lines={"tea": 3, "pot": 1}),
            Sent(key="order-6", status=200, customer="6", lines={"tea": 1, "pot": 1}),
            Sent(key="pay-1", status=200, customer="1", lines={"tea": 2}),
        ],
    )


def facts() -> Facts:
    """All that is known of it; nothing of it is shared with anybody."""
    remembered = history()
    ada, bob = remembered.payments
    at_ms = EPOCH_MS + 35
    return Facts(
        history=remembered,
        journal=journal(),
        charges=[
            Charge(id="charge-1", client_id=1, amount=5.0, at_ms=at_ms, outcome="paid"),
            Charge(id="charge-2", client_id=2, amount=10.0, at_ms=at_ms, outcome="paid"),
        ],
        prices={"tea": 250, "pot": 1_000},
        ends={"tea": (13, (0, 0, 4, 4)), "pot": (6, (0, 0, 0, 0))},
        checkouts={
            each.ids.copy().pop(): Checkout(id="", status=each.seen, amount=amount)
            for each, amount in ((ada, 500), (bob, 1_000))
        },
        purchases=[
            Purchase(
                customer="1",
                amount=500,
                currency="EUR",
                items=[Item(product="tea", quantity=2, price=250)],
            )
        ],
    )
