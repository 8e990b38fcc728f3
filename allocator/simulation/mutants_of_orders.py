"""Orders of several lines that are decided at once, without one of their guards."""

from collections.abc import Sequence
from typing import Final

from allocator.actors.actor import Actor
from allocator.actors.writer import _Turn
from allocator.domain.kinds import Event
from allocator.domain.messages import PlaceOrder
from allocator.domain.orders import Line, RequestOrder
from allocator.domain.pool import Pool
from allocator.simulation import knowledge
from allocator.simulation.history import NEWBORN
from allocator.simulation.knowledge import PRODUCTS, Question
from allocator.simulation.mutant import Method, Mutant
from allocator.simulation.wants import Portion


def _store_in_pieces(take_part: Method) -> Method:
    def mutant(self: Actor, pool: Pool, event: Event, *, now_ms: int) -> None:
        take_part(self, pool, event, now_ms=now_ms)
        self._writer._turns.append(_Turn())

    return mutant


def _check_separately(order_of: Method) -> Method:
    def mutant(portions: Sequence[Portion], number: int) -> Question:
        asked = [order_of([portion], number) for portion in sorted(portions, key=_pool_of)]
        lines = tuple(_line_of(question) for question in asked)
        request = RequestOrder(lines=lines, customer=f"customer {number}")
        return asked[0] if len(lines) == 1 else Question(NEWBORN, request)

    return mutant


def _pool_of(portion: Portion) -> int:
    return portion.pool


def _line_of(question: Question) -> Line:
    order = question.ask
    assert isinstance(order, PlaceOrder), "of one pool"
    return Line(
        pool=question.actor_id,
        warehouse=f"place {question.actor_id}",
        product=order.product or PRODUCTS[0],
        quantity=order.quantity,
        told=order.product,
    )


ORDER_MUTANTS: Final[dict[str, Mutant]] = {
    "store in pieces": Mutant(
        rule="what is decided at once, of an order and of its pools, is stored in one append",
        owner=Actor,
        method="take_part",
        make=_store_in_pieces,
    ),
    "check lines separately": Mutant(
        rule="lines of the same pool are summed before they are compared with what is available",
        owner=knowledge,
        method="_order_of",
        make=_check_separately,
    ),
}
