"""Guards of the design that can be switched off, to prove that the simulator would notice.

A mutant replaces a method while one run lasts. Each is caught within a few hundred seeds, or the
simulator is blind in one eye.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from allocator.simulation.mutant import Mutant
from allocator.simulation.mutants_of_actors import ACTOR_MUTANTS
from allocator.simulation.mutants_of_adjustments import ADJUSTMENT_MUTANTS
from allocator.simulation.mutants_of_carts import CART_MUTANTS
from allocator.simulation.mutants_of_feeds import FEED_MUTANTS
from allocator.simulation.mutants_of_orders import ORDER_MUTANTS
from allocator.simulation.mutants_of_processes import PROCESS_MUTANTS
from allocator.simulation.mutants_of_tables import TABLE_MUTANTS

MUTANTS: Final[dict[str, Mutant]] = {
    **ACTOR_MUTANTS,
    **PROCESS_MUTANTS,
    **CART_MUTANTS,
    **ORDER_MUTANTS,
    **ADJUSTMENT_MUTANTS,
    **FEED_MUTANTS,
    **TABLE_MUTANTS,
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Switch a guard off while the context is open.

    Raises:
        KeyError: There is none of that name.
    """
    mutant = MUTANTS[name]
    original = getattr(mutant.owner, mutant.method)
    with mutated(mutant.behind) if mutant.behind else nullcontext():
        setattr(mutant.owner, mutant.method, mutant.make(original))
        try:
            yield
        finally:
            setattr(mutant.owner, mutant.method, original)
