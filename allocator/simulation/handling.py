"""What a worker does with a request: as its handler would, without HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from msgspec import structs

from allocator.actors.keys import KeyedRequest
from allocator.actors.messages import Answer, Outcome
from allocator.crew import Crew
from allocator.domain.carts import OpenCart, SetLine
from allocator.domain.checkouts import BeginCheckout
from allocator.domain.feeds import PutFeed
from allocator.domain.ids import SHARD_BITS
from allocator.domain.kinds import Command, evolve
from allocator.domain.moves import RequestMove
from allocator.domain.orders import Order, OrderAccepted, OrderDeclined, RequestOrder
from allocator.domain.queries import CartQuery, LinesQuery, MoveQuery, Query, View
from allocator.errors import JournalError, OutcomeUnknownError, UnavailableError
from allocator.simulation.history import NEWBORN, Edited, Heard, Moved, Operation, Ordered

_SCOPES: Final[dict[type[Command], str]] = {
    RequestMove: "move",
    RequestOrder: "order",
    OpenCart: "cart",
}
"""Of what begins a process: repeats of it go the same way."""


CURRENCY: Final = "EUR"


Begin: TypeAlias = Callable[[], Awaitable[None]]
"""Has a feed be known, before it is put."""


def ask(crew: Crew, operation: Operation, *, begin_feed: Begin) -> "asyncio.Future[Heard]":
    """Have an operation carried out.

    Raises:
        AllocatorError: It was not accepted.
    """
    wanted, actor_id = operation.ask, operation.actor_id
    if not isinstance(wanted, Command):
        return asyncio.ensure_future(crew.asker.look(actor_id, wanted))
    if actor_id == NEWBORN:
        return asyncio.ensure_future(_begin(crew, operation, wanted))
    if isinstance(wanted, PutFeed):
        return asyncio.ensure_future(_put(crew, operation, wanted, begin_feed))
    if isinstance(wanted, SetLine):
        return asyncio.ensure_future(_edit(crew, operation, wanted))
    if isinstance(wanted, BeginCheckout):
        return asyncio.ensure_future(_check_out(crew, operation, wanted))
    return _tell(crew, operation, wanted, actor_id)  # type: ignore[return-value]


async def _begin(crew: Crew, operation: Operation, wanted: Command) -> Heard:
    """Begin a process, and wait until it has decided."""
    key, scope = operation.key, _SCOPES[type(wanted)]
    way = None if key is None else f"{scope}:{operation.principal}/{key}"
    answer = await _tell(crew, operation, wanted, await crew.asker.begin(way))
    if not isinstance(answer, Outcome):
        return answer
    if isinstance(wanted, OpenCart):
        return answer
    if isinstance(wanted, RequestMove):
        move = (await _decided(crew, answer, MoveQuery(decided=True))).move
        assert move is not None
        return Moved(outcome=answer, move=move)
    if isinstance(answer.event, OrderAccepted | OrderDeclined):  # at once
        state = Order()
        evolve(state, answer.event, at_ms=answer.at_ms)
        return Ordered(outcome=answer, order=state)
    order = (await _decided(crew, answer, LinesQuery(decided=True))).order
    assert order is not None
    return Ordered(outcome=answer, order=order)


async def _put(crew: Crew, operation: Operation, wanted: PutFeed, begin: Begin) -> Heard:
    """Have a warehouse be fed."""
    try:
        await begin()
    except JournalError as error:
        raise UnavailableError(reason=str(error)) from error
    answer = await _tell(crew, operation, wanted, operation.actor_id)
    try:
        await begin()  # one that ended just before is on by now
    except JournalError as error:
        raise OutcomeUnknownError from error
    return answer


async def _edit(crew: Crew, operation: Operation, wanted: SetLine) -> Heard:
    """Have a line of a cart set, and wait until that is done or refused."""
    answer = await _tell(crew, operation, wanted, operation.actor_id)
    if not isinstance(answer, Outcome):
        return answer
    cart = (await _decided(crew, answer, CartQuery(edit=answer.seq))).cart
    assert cart is not None
    return Edited(outcome=answer, cart=cart)


async def _check_out(crew: Crew, operation: Operation, wanted: BeginCheckout) -> Heard:
    """Begin to pay for a cart as it stands."""
    cart = (await crew.asker.look(operation.actor_id, CartQuery())).cart
    assert cart is not None
    prices = tuple((line.line.pool, price_of(line.line.pool)) for line in cart.filled())
    command = structs.replace(wanted, seen=cart.version, prices=prices, currency=CURRENCY)
    return await _tell(crew, operation, command, operation.actor_id)


def price_of(pool: int) -> int:
    """Return what a unit of a pool costs, in minor units."""
    return 100 + (pool >> SHARD_BITS)


async def _decided(crew: Crew, begun: Outcome, query: Query) -> View:
    try:
        return await crew.asker.look(begun.actor_id, query)
    except UnavailableError as error:  # nothing was seen, but something was done
        raise OutcomeUnknownError from error


def _tell(
    crew: Crew, operation: Operation, ask: Command, actor_id: int
) -> "asyncio.Future[Answer]":
    if operation.key is None:
        return crew.asker.ask(actor_id, ask)
    return crew.asker.ask_once(
        KeyedRequest(actor_id, ask, operation.principal, operation.key, operation.request_digest)
    )
