"""The corpus as it lies on disk: rows that releases wrote, and what became of them.

`<release>.ndjson` has one row of the journal a line, by actor and seq; `<release>.json` has, for
every actor, its final state in words that do not depend on how the code keeps it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.carts import Cart
from allocator.domain.checkouts import Checkout
from allocator.domain.fed import Fed
from allocator.domain.feeds import Feed, Run
from allocator.domain.kinds import State, intents, wake_at
from allocator.domain.moves import Move
from allocator.domain.orders import Order
from allocator.domain.pool import Pool
from allocator.domain.records import Record
from allocator.domain.transfers import Transfer

CORPUS: Final = Path(__file__).parent


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the journal; `body` is verbatim, digests are in hexadecimal."""

    actor_id: int
    seq: int
    at_ms: int
    kind: str
    version: int
    body: str
    digest: str
    principal: str
    idempotency_key: str | None
    request_digest: str | None


class FinalTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """Units on their way; `origin` is (actor, seq) of the lot that they were part of."""

    quantity: int
    origin: tuple[int, int]
    code: str | None
    expires_at_ms: int | None
    received_at_ms: int
    reference: str | None


class FinalLot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot that still has units on hand."""

    seq: int
    quantity: int
    available: int
    ordered: int
    expired: int
    lot: str | None
    expires_at_ms: int | None
    received_at_ms: int
    reference: str | None
    origin: tuple[int, int] | None = None
    held: int = 0
    aside: tuple[tuple[str, int], ...] = ()
    recalled: tuple[tuple[str, int], ...] = ()


class FinalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An open order; `picks` are (seq of the lot, units). `led`: a process knows of it."""

    seq: int
    picks: tuple[tuple[int, int], ...]
    led: bool = False


class FinalTrace(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool remembers of a process; `refused` is units requested and available, and lots.

    Attributes:
        order: The number that the order will have for which units are held.
        held: The units that are: (seq of the lot, units).
    """

    process: int
    step: int
    expects: bool
    sent: list[FinalTransfer] | None
    refused: tuple[int, int, int] | None
    taking: int
    taken: int
    order: int = 0
    held: tuple[tuple[int, int], ...] = ()


class FinalBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a fed pool's batch beyond its lots."""

    code: str | None
    left: int
    short: int
    as_of: int


class FinalFed(msgspec.Struct, frozen=True, kw_only=True):
    """A pool's part in a feed, and the shortfall that it told of.

    Attributes:
        batches: By code, ascending; the one without a code comes first.
    """

    feed: int
    turn: int
    excludes: tuple[str, ...]
    as_of: int
    told: int
    batches: list[FinalBatch]


class FinalPool(msgspec.Struct, frozen=True, kw_only=True, tag="pool", tag_field="actor"):
    """What a pool's rows add up to; lots and orders ascend by seq, processes by their number.

    Attributes:
        processes: That have not let go, and `released`, that have, each with the time.
    """

    key: str
    version: int
    last_at_ms: int
    wake_at_ms: int | None
    available: int
    ordered: int
    held: int
    expired: int
    on_hand: int
    lots: list[FinalLot]
    orders: list[FinalOrder]
    product: str | None = None
    processes: list[FinalTrace] = []
    released: list[tuple[int, int]] = []
    aside: tuple[tuple[str, int], ...] = ()
    recalls: list[int] = []
    fed: FinalFed | None = None


class FinalMove(msgspec.Struct, frozen=True, kw_only=True, tag="move", tag_field="actor"):
    """What a move has come to, and what it still asks: (number, actor, tag of the command)."""

    key: str
    version: int
    last_at_ms: int
    wake_at_ms: int | None
    status: str
    requested_at_ms: int
    product: str
    source: int
    destination: int
    from_code: str
    to_code: str
    quantity: int
    lots: list[FinalTransfer]
    reason: dict[str, str | int] | None
    asks: list[tuple[int, int, str]]


class FinalLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order or a cart; `pool_order` is the number of the order in its pool.

    Attributes:
        left: How many units are still ordered; None if it is not an order.
        refused: Units requested and available, if the last edit of a cart's line was refused.
    """

    pool: int
    warehouse: str
    product: str
    quantity: int
    told: str | None
    pool_order: int | None
    picks: tuple[tuple[int, int], ...]
    left: int | None = None
    refused: tuple[int, int] | None = None


class FinalLed(msgspec.Struct, frozen=True, kw_only=True, tag="order", tag_field="actor"):
    """What an order of several lines has come to; `asks` as of a move.

    Attributes:
        shortages: (line, units requested, units available).
    """

    key: str
    version: int
    last_at_ms: int
    wake_at_ms: int | None
    number: int
    status: str
    customer: str | None
    requested_at_ms: int
    changed_at_ms: int
    confirmed: bool
    lines: list[FinalLine]
    shortages: list[tuple[int, int, int]]
    asks: list[tuple[int, int, str]]


class FinalCheckout(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to pay; `items` are (pool, warehouse, product, units, price of one)."""

    attempt: int
    status: str
    items: list[tuple[int, str, str, int, int]]
    amount: int
    currency: str
    client_id: int
    deadline_ms: int
    begun_at_ms: int
    changed_at_ms: int
    changed: int
    reference: str | None
    detail: str | None
    resolved: bool


class FinalCart(msgspec.Struct, frozen=True, kw_only=True, tag="cart", tag_field="actor"):
    """What a cart has come to; `edits` are (seq, pool, units) that are not settled."""

    key: str
    version: int
    last_at_ms: int
    wake_at_ms: int | None
    status: str
    customer: str | None
    opened_at_ms: int
    expires_at_ms: int
    lines: list[FinalLine]
    edits: list[tuple[int, int, int]]
    checkouts: list[FinalCheckout]
    order: FinalLed | None
    asks: list[tuple[int, int, str]]


class FinalEntry(msgspec.Struct, frozen=True, kw_only=True, tag="entry", tag_field="actor"):
    """What an entry of an ordinary table came to contain: the body of its last row."""

    key: str
    kind: Literal["warehouse", "product", "api_key", "webhook"]
    version: int
    contents: dict[str, str | bool | dict[str, str | int] | list[str] | None]


class FinalRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a WMS said as of a moment, and what came of it."""

    number: int
    poll: int
    as_of: int
    applied_through: int
    parts: int
    deadline_ms: int
    heard: tuple[int, ...]
    lots: int
    differences: int
    shortfall: int
    complete: bool
    ended_at_ms: int


class FinalFeed(msgspec.Struct, frozen=True, kw_only=True, tag="feed", tag_field="actor"):
    """What a feed has come to."""

    key: str
    version: int
    last_at_ms: int
    wake_at_ms: int | None
    status: str
    url: str
    excludes: tuple[str, ...]
    poll: int
    deadline_ms: int
    polled_at_ms: int
    next_poll_ms: int
    failures: int
    failure: str | None
    run: FinalRun | None
    completed: FinalRun | None


FinalState: TypeAlias = FinalPool | FinalMove | FinalLed | FinalCart | FinalFeed | FinalEntry


def releases() -> list[str]:
    """Return the releases of which there are rows, in order."""
    return sorted(path.stem for path in CORPUS.glob("*.ndjson"))


def records_in(release: str) -> dict[int, list[Record]]:
    """Return what a release wrote, by actor, ascending by seq."""
    records: dict[int, list[Record]] = {}
    for line in (CORPUS / f"{release}.ndjson").read_bytes().splitlines():
        record = _record_of(msgspec.json.decode(line, type=Row))
        records.setdefault(record.actor_id, []).append(record)
    return records


def finals_in(release: str) -> Mapping[int, FinalState]:
    """Return what became of its actors, by their ids."""
    text = (CORPUS / f"{release}.json").read_bytes()
    return msgspec.json.decode(text, type=dict[int, FinalState])


def row_of(record: Record) -> Row:
    """Return a record as the corpus keeps it."""
    asked = record.request_digest
    return Row(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        kind=record.kind,
        version=record.version,
        body=record.body,
        digest=record.digest.hex(),
        principal=record.principal,
        idempotency_key=record.idempotency_key,
        request_digest=None if asked is None else asked.hex(),
    )


def final_pool(key: str, pool: Pool) -> FinalPool:
    """Return a pool's state in the words of the corpus."""
    balance = pool.balance()
    return FinalPool(
        key=key,
        version=pool.version,
        last_at_ms=pool.last_at_ms,
        wake_at_ms=wake_at(pool),
        available=balance.available,
        ordered=balance.ordered,
        held=balance.held,
        expired=balance.expired,
        on_hand=balance.on_hand,
        lots=[
            FinalLot(
                seq=lot.seq,
                quantity=lot.quantity,
                available=lot.available,
                ordered=lot.ordered,
                expired=lot.expired,
                lot=lot.code,
                expires_at_ms=lot.expires_at_ms,
                received_at_ms=lot.received_at_ms,
                reference=lot.reference,
                origin=lot.origin,
                held=lot.held,
                aside=lot.aside,
                recalled=lot.recalled,
            )
            for _, lot in sorted(pool.lots.items())
        ],
        orders=[
            FinalOrder(seq=seq, picks=picks, led=pool.orders.is_led(seq))
            for seq, picks in pool.orders
        ],
        product=pool.product,
        processes=_traces_of(pool),
        released=[] if pool.processes is None else sorted(pool.processes.released.items()),
        aside=pool.aside,
        recalls=sorted(pool.recalls),
        fed=None if pool.fed is None else _final_fed(pool.fed),
    )


def _final_fed(fed: Fed) -> FinalFed:
    image = fed.dump()
    return FinalFed(
        feed=image.feed,
        turn=image.turn,
        excludes=image.excludes,
        as_of=image.as_of,
        told=image.told,
        batches=[
            FinalBatch(code=code, left=batch.left, short=batch.short, as_of=batch.as_of)
            for code, batch in image.batches
        ],
    )


def final_feed(key: str, feed: Feed) -> FinalFeed:
    """Return the state of a feed in the words of the corpus."""
    assert feed.status is not None
    assert feed.settings is not None
    return FinalFeed(
        key=key,
        version=feed.version,
        last_at_ms=feed.last_at_ms,
        wake_at_ms=wake_at(feed),
        status=feed.status,
        url=feed.settings.url,
        excludes=feed.settings.excludes,
        poll=feed.poll,
        deadline_ms=feed.deadline_ms,
        polled_at_ms=feed.polled_at_ms,
        next_poll_ms=feed.next_poll_ms,
        failures=feed.failures,
        failure=feed.failure,
        run=_final_run(feed.run),
        completed=_final_run(feed.completed),
    )


def _final_run(run: Run | None) -> FinalRun | None:
    return None if run is None else FinalRun(**msgspec.structs.asdict(run))


def final_move(key: str, move: Move) -> FinalMove:
    """Return a move's state in the words of the corpus."""
    request, reason = move.request, move.reason
    assert request is not None
    # When this was written, a move was due a second after it was requested; now it is at once.
    is_due = wake_at(move) is not None
    return FinalMove(
        key=key,
        version=move.version,
        last_at_ms=move.last_at_ms,
        wake_at_ms=move.requested_at_ms + 1_000 if is_due else None,
        status=move.status,
        requested_at_ms=move.requested_at_ms,
        product=request.product,
        source=request.source,
        destination=request.destination,
        from_code=request.from_code,
        to_code=request.to_code,
        quantity=request.quantity,
        lots=_transfers(move.lots),
        reason=None if reason is None else msgspec.to_builtins(reason),
        asks=_asks_of(move),
    )


def final_order(key: str, order: Order) -> FinalLed:
    """Return the state of an order of several lines in the words of the corpus."""
    assert order.status is not None
    lefts = order.left or (None,) * len(order.lines)
    held = {line.pool: each for line, each in zip(order.lines, order.held, strict=False)}
    return FinalLed(
        key=key,
        version=order.version,
        last_at_ms=order.last_at_ms,
        wake_at_ms=wake_at(order),
        number=order.number,
        status=order.status,
        customer=order.customer,
        requested_at_ms=order.requested_at_ms,
        changed_at_ms=order.changed_at_ms,
        confirmed=order.confirmed,
        lines=[
            FinalLine(
                pool=line.pool,
                warehouse=line.warehouse,
                product=line.product,
                quantity=line.quantity,
                told=line.told,
                pool_order=held[line.pool].order if held else None,
                picks=held[line.pool].picks if held else (),
                left=left,
            )
            for line, left in zip(order.lines, lefts, strict=True)
        ],
        shortages=[(each.line, each.requested, each.available) for each in order.shortages],
        asks=_asks_of(order),
    )


def final_cart(key: str, cart: Cart) -> FinalCart:
    """Return a cart's state in the words of the corpus."""
    assert cart.status is not None
    return FinalCart(
        key=key,
        version=cart.version,
        last_at_ms=cart.last_at_ms,
        wake_at_ms=wake_at(cart),
        status=cart.status,
        customer=cart.customer,
        opened_at_ms=cart.opened_at_ms,
        expires_at_ms=cart.expires_at_ms,
        lines=[
            FinalLine(
                pool=each.line.pool,
                warehouse=each.line.warehouse,
                product=each.line.product,
                quantity=each.line.quantity,
                told=each.line.told,
                pool_order=each.order,
                picks=each.picks,
                refused=each.refused,
            )
            for each in cart.lines
        ],
        edits=[(edit.seq, edit.line.pool, edit.line.quantity) for edit in cart.edits],
        checkouts=[_final_checkout(each) for each in cart.checkouts],
        order=None if cart.order is None else final_order(key, cart.order),
        asks=_asks_of(cart),
    )


def _final_checkout(checkout: Checkout) -> FinalCheckout:
    begun = checkout.begun
    return FinalCheckout(
        attempt=checkout.attempt,
        status=checkout.status,
        items=[
            (item.pool, item.warehouse, item.product, item.quantity, item.price)
            for item in begun.items
        ],
        amount=begun.amount,
        currency=begun.currency,
        client_id=begun.client_id,
        deadline_ms=begun.deadline_ms,
        begun_at_ms=checkout.begun_at_ms,
        changed_at_ms=checkout.changed_at_ms,
        changed=checkout.changed,
        reference=checkout.reference,
        detail=checkout.detail,
        resolved=checkout.resolved,
    )


def _asks_of(process: State) -> list[tuple[int, int, str]]:
    return [(ask.number, ask.actor_id, type(ask.command).__name__) for ask in intents(process)]


def _traces_of(pool: Pool) -> list[FinalTrace]:
    traces = {} if pool.processes is None else pool.processes.traces
    return [
        FinalTrace(
            process=process,
            step=trace.step,
            expects=trace.expects,
            sent=None if trace.sent is None else _transfers(trace.sent),
            refused=trace.refused,
            taking=trace.taking,
            taken=trace.taken,
            order=trace.order,
            held=trace.held,
        )
        for process, trace in sorted(traces.items())
    ]


def _transfers(lots: Sequence[Transfer]) -> list[FinalTransfer]:
    return [
        FinalTransfer(
            quantity=lot.quantity,
            origin=lot.origin,
            code=lot.code,
            expires_at_ms=lot.expires_at_ms,
            received_at_ms=lot.received_at_ms,
            reference=lot.reference,
        )
        for lot in lots
    ]


def _record_of(row: Row) -> Record:
    asked = row.request_digest
    return Record(
        actor_id=row.actor_id,
        seq=row.seq,
        at_ms=row.at_ms,
        kind=row.kind,
        version=row.version,
        body=row.body,
        digest=bytes.fromhex(row.digest),
        principal=row.principal,
        idempotency_key=row.idempotency_key,
        request_digest=None if asked is None else bytes.fromhex(asked),
    )
