"""The rules of an order of several lines whose pools are all at hand: it is decided at once.

What becomes of the order, and what each pool does for it, is decided together and has to be stored
together, all of it or nothing. So nobody holds anything meanwhile, nobody is asked or told, and no
pool has a process to remember; the order is as if everything had been held and confirmed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from allocator.domain.holds import HoldConfirmed
from allocator.domain.orders import (
    FIRST,
    Held,
    Line,
    OrderAccepted,
    OrderDeclined,
    OrderRequested,
    Shortage,
)
from allocator.domain.pool import Pool


class AtOnce(NamedTuple):
    """What happens to an order, and to its pools.

    Attributes:
        parts: One for each line, in that order; none if the order is declined.
    """

    order: OrderAccepted | OrderDeclined
    parts: tuple[HoldConfirmed, ...]


def decide(request: OrderRequested, pools: Sequence[Pool], *, process: int) -> AtOnce:
    """Say what becomes of an order, changing nothing.

    Args:
        request: What is wanted.
        pools: Those of its lines, in that order; nothing in them is due.
        process: The order's actor.
    """
    lines, customer = request.lines, request.customer
    shortages = _shortages(lines, pools)
    if shortages:
        return AtOnce(OrderDeclined(shortages=shortages, lines=lines, customer=customer), ())
    parts = tuple(
        [_part(line, pool, process=process) for line, pool in zip(lines, pools, strict=True)]
    )
    held = tuple([Held(order=part.order, picks=part.picks) for part in parts])
    return AtOnce(OrderAccepted(held=held, lines=lines, customer=customer), parts)


def _shortages(lines: Sequence[Line], pools: Sequence[Pool]) -> tuple[Shortage, ...]:
    short = []
    for place, (line, pool) in enumerate(zip(lines, pools, strict=True)):
        available = pool.available_of(line.told)
        if line.quantity > available:
            short.append(Shortage(line=place, requested=line.quantity, available=available))
    return tuple(short)


def _part(line: Line, pool: Pool, *, process: int) -> HoldConfirmed:
    return HoldConfirmed(
        process=process,
        step=FIRST,
        order=pool.version + 1,
        quantity=line.quantity,
        picks=pool.pick(line.quantity),
        product=pool.product,
        held=False,
    )
