"""What happened as one line: in words, or as a JSON object."""

import json
from datetime import datetime
from typing import Final, assert_never

import msgspec

from allocator.domain.ids import IdSeal
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.occurrences import PROCESS_SEQ
from allocator.domain.pool import Balance
from allocator.domain.records import Record
from allocator.journal.adjustments_in_words import adjustment_in_words
from allocator.journal.carts_in_words import cart_in_words
from allocator.journal.feeds_in_words import feed_in_words
from allocator.journal.happenings import (
    CART,
    Happening,
    HookDeleted,
    HookPut,
    HookRotated,
    KeyCreated,
    KeyRevoked,
    Located,
    LotState,
    Meaning,
    Named,
    OfSetup,
    State,
    thing_of,
)
from allocator.journal.holds_in_words import gone, hold_in_words, picked
from allocator.journal.times import text_of, time_of
from allocator.journal.travels import travel_in_words

_encode: Final = msgspec.json.Encoder().encode


class _After(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of what was asked for: `status` of an order or a move, units of a lot or a pool."""

    status: str | None = None
    available: int | None = None
    ordered: int | None = None
    held: int | None = None
    expired: int | None = None
    aside: dict[str, int] = {}
    on_hand: int | None = None


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `--json`; its fields are the members, in this order.

    Attributes:
        thing: `order`, `stock`, `move`, `ticket_option`, `warehouse`, `location`, `product`,
            `api_key` or `webhook`; None where a newer release knows more.
        id: Of the order, the stock, the move or the ticket option, as the API gives it; the name of
            a key or a webhook.
        body: As it is stored: lots and orders are named by their seq in this pool.
    """

    position: str | msgspec.UnsetType
    at: datetime
    warehouse: str | None
    product: str | None
    seq: int
    kind: str
    version: int
    thing: str | None
    id: str | None
    principal: str
    idempotency_key: str | None
    body: msgspec.Raw
    after: _After | msgspec.UnsetType


def in_json(happening: Happening, *, ids: IdSeal) -> str:
    """Return it as an object, with everything that is stored about it."""
    record, place = happening.record, happening.place
    thing, thing_id = _sealed(happening, ids)
    told = _Object(
        position=happening.position or msgspec.UNSET,
        at=time_of(record.at_ms),
        warehouse=place.warehouse,
        product=place.product,
        seq=record.seq,
        kind=record.kind,
        version=record.version,
        thing=thing,
        id=thing_id,
        principal=record.principal,
        idempotency_key=record.idempotency_key,
        body=msgspec.Raw(record.body.encode()),
        after=msgspec.UNSET if happening.after is None else _after(happening.after),
    )
    return _encode(told).decode()


def in_words(happening: Happening, *, ids: IdSeal) -> str:
    """Return it as people read it: when, where, which row, what, of which thing, by whom."""
    record, place = happening.record, happening.place
    thing, thing_id = _sealed(happening, ids)
    where, is_place = str(place), place.other is not None
    if place.numbered:
        where = f"{place.numbered} {thing_id}"
    elif place.is_cart:
        where, is_place = f"cart {ids.seal(record.actor_id, PROCESS_SEQ)}", thing == CART
    parts = [
        text_of(record.at_ms),
        where,
        f"#{record.seq}",
        _said(happening.meaning, record),
    ]
    if thing_id is not None and not is_place:
        parts.append(f"{thing} {thing_id}")
    if record.principal:
        parts.append(f"by {_plain(record.principal)}")
    if record.idempotency_key is not None:
        parts.append(f"key {_plain(record.idempotency_key)}")
    if happening.after is not None:
        parts.append(f"→ {state_in_words(happening.after)}")
    return "  ".join(parts)


def state_in_words(state: State) -> str:
    """Return what has become of an order, a move, a lot or a pool."""
    match state:
        case str():
            return state
        case LotState() | Balance():
            numbers = {"available": state.available, "ordered": state.ordered, "held": state.held}
        case _:
            assert_never(state)
    numbers |= {"expired": state.expired, **dict(state.aside)}
    told = [f"{units} {name}" for name, units in numbers.items() if units]
    return ", ".join([*told, f"{state.on_hand} on hand"])


def _after(state: State) -> _After:
    match state:
        case str():
            return _After(status=state)
        case LotState() | Balance():
            pass
        case _:
            assert_never(state)
    return _After(
        available=state.available,
        ordered=state.ordered,
        held=state.held,
        expired=state.expired,
        aside=dict(state.aside),
        on_hand=state.on_hand,
    )


def _sealed(happening: Happening, ids: IdSeal) -> tuple[str | None, str | None]:
    thing, address = thing_of(happening)
    if address is not None:
        return thing, ids.seal(*address)
    return thing, None if happening.place.other is None else happening.place.other[1]


def _said(meaning: Meaning, record: Record) -> str:
    match meaning:
        case StockReceived():
            said = _received(meaning)
        case OrderPlaced(customer=customer):
            whose = "" if customer is None else f" for {_plain(customer)}"
            said = f"ordered {meaning.quantity}{whose}: {picked(meaning.picks)}"
        case OrderDispatched():
            said = f"dispatched {meaning.quantity}: {picked(meaning.picks)}"
        case OrderCancelled():
            said = f"cancelled {meaning.quantity}: {picked(meaning.picks)}"
            said += gone(meaning.missing)
        case TicketOptionOpened(name=name, allocation=allocation):
            said = f"opened {_quoted(name)}: {allocation}"
        case LotExpired():
            said = f"expired {meaning.quantity} of #{meaning.lot}"
        case Named() | Located():
            said = _named(meaning)
        case KeyCreated() | KeyRevoked() | HookPut() | HookRotated() | HookDeleted():
            said = _said_of_table(meaning)
        case None:
            said = _as_stored(record)
        case _:
            said = (
                travel_in_words(meaning, plain=_plain)
                or hold_in_words(meaning, plain=_plain)
                or adjustment_in_words(meaning, plain=_plain)
                or cart_in_words(meaning, plain=_plain)
                or feed_in_words(meaning, plain=_plain)
                or _as_stored(record)
            )
    return said


def _named(put: Named | Located) -> str:
    said = f"named {_quoted(put.name)}"
    if isinstance(put, Located):
        said += f", in {_plain(put.warehouse)}"
        return f"{said}, one product at a time" if put.single_product else said
    return said if put.price is None else f"{said}, price {put.price.amount} {put.price.currency}"


def _said_of_table(meaning: OfSetup) -> str:
    match meaning:
        case KeyCreated(role=role):
            said = f"let in as {_plain(role)}"
        case KeyRevoked():
            said = "revoked"
        case HookPut():
            said = _hooked(meaning)
        case HookRotated():
            said = "has a new secret"
        case HookDeleted():
            said = "deleted"
        case _:
            assert_never(meaning)
    return said


def _as_stored(record: Record) -> str:
    """Show what this release does not know."""
    return f"{_plain(record.kind)} version {record.version}: {_plain(record.body)}"


def _received(event: StockReceived) -> str:
    said = f"received {event.quantity}"
    if event.lot is not None:
        said += f", lot {_plain(event.lot)}"
    if event.expires_at_ms is not None:
        said += f", expires {text_of(event.expires_at_ms)}"
    if event.reference is not None:
        said += f", reference {_plain(event.reference)}"
    return said


def _hooked(put: HookPut) -> str:
    said = f"tells {_plain(put.url)}"
    for name, value in (("product", put.product), ("warehouse", put.warehouse)):
        if value is not None:
            said += f", {name} {_plain(value)}"
    return said if put.kinds is None else f"{said}, {_plain('/'.join(put.kinds))}"


def _plain(text: str) -> str:
    """Return a text that is one word, or quoted: it came from a client."""
    return text if text.isprintable() and " " not in text else _quoted(text)


def _quoted(text: str) -> str:
    """Return a text in quotes, with nothing in it that a terminal would obey."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
