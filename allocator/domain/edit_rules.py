"""The rules of what is in a cart: edits that wait, are asked for one by one, and are settled."""

from typing import TypeAlias

import msgspec

from allocator.domain.carts import (
    EDITS_MAX,
    LINES_MAX,
    POOLS_MAX,
    Cart,
    CartLine,
    LineHeld,
    LineRefused,
    LineWanted,
    TooManyEdits,
    TooManyLines,
)
from allocator.domain.holds import AlreadyHeld, Hold, HoldRefused, UnitsHeld
from allocator.domain.messages import InsufficientStock
from allocator.domain.orders import Line
from allocator.domain.processes import Answer, Ask
from allocator.domain.values import units_of, with_less, with_more

Refusal: TypeAlias = TooManyEdits | TooManyLines | InsufficientStock


def want(cart: Cart, line: Line) -> tuple[LineWanted, ...] | Refusal:
    """Say what comes of an edit of an open cart.

    Returns:
        Its event; none if it would remove what never was there. Or a refusal.
    """
    wanted = cart.wanted()
    before = wanted.get(line.pool)
    units = 0 if before is None else before.quantity
    is_other = before is not None and units > 0 and before.product != line.product
    if not line.quantity and (before is None or is_other):
        return ()
    if len(cart.edits) >= EDITS_MAX:
        return TooManyEdits(limit=EDITS_MAX)
    if is_other:  # a location that holds one product at a time, and this very cart has that one
        return InsufficientStock(requested=line.quantity, available=0)
    if before is None and len(wanted) >= POOLS_MAX:
        return TooManyLines(limit=POOLS_MAX, removed=True)
    # An edit to 0 is never refused, so that no more lines will have units than are wanted to.
    filled = sum(each.quantity > 0 for each in wanted.values())
    if line.quantity and not units and filled >= LINES_MAX:
        return TooManyLines(limit=LINES_MAX)
    return (LineWanted(line=line),)


def asks(cart: Cart) -> tuple[Ask, ...]:
    """Return what the first edit asks, if there is one."""
    return tuple(
        Ask(
            number=edit.seq,
            actor_id=edit.line.pool,
            command=Hold(step=edit.seq, quantity=edit.line.quantity, product=edit.line.told),
        )
        for edit in cart.edits[:1]
    )


def hear(cart: Cart, answer: Answer) -> tuple[LineHeld | LineRefused, ...]:
    """Return what the answer to the first edit means; nothing if it is to be asked again."""
    edit = cart.edits[0]
    match answer:
        case HoldRefused() | InsufficientStock():
            requested, available = answer.requested, answer.available
            return (LineRefused(edit=edit.seq, requested=requested, available=available),)
        case UnitsHeld(order=order):
            former = cart.line_of(edit.line.pool)
            picks = () if former is None else former.picks
            picks = with_less(with_more(picks, answer.added), answer.returned)
        case AlreadyHeld(order=order, picks=picks):
            pass
        case _:
            return ()
    if units_of(picks) != edit.line.quantity:
        return ()  # a bug: ask again, rather than promise what nobody holds
    return (LineHeld(edit=edit.seq, order=order, picks=picks),)


def settle(cart: Cart, event: LineHeld | LineRefused) -> None:
    """Apply what became of the first edit."""
    edit, *waiting = cart.edits
    cart.edits = tuple(waiting)
    former = cart.line_of(edit.line.pool) or CartLine(line=edit.line, edit=0)
    order, picks, refused = former.order, former.picks, None
    if isinstance(event, LineHeld):
        order, picks = event.order, event.picks
    else:
        refused = (event.requested, event.available)
    line = CartLine(
        line=msgspec.structs.replace(edit.line, quantity=units_of(picks)),
        order=order,
        picks=picks,
        edit=edit.seq,
        refused=refused,
    )
    cart.put(line)
