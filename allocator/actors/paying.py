"""Charges that leave for the outside: once the event behind them is stored, and in one life only.

A charge takes the place of a reply in the turn that carries its event. If the turn fails, nobody
can say whether the event is stored, and nothing leaves; who is recovered never asks again. So the
worst that can happen is a charge that was never asked for, and ends as unknown.
"""

from typing import Protocol

import structlog

from allocator.actors.messages import Answer
from allocator.domain.checkouts import Charge

log = structlog.get_logger()


class Cashier(Protocol):
    """Whoever has charges taken, and sees to it that their checkouts hear of it."""

    def charge(self, actor_id: int, charge: Charge) -> None:
        """Have a charge taken for an actor's checkout; returns at once, and never raises."""


class NoCashier:
    """Stands where nobody can be asked for money: what comes all the same ends as unknown."""

    def charge(self, actor_id: int, charge: Charge) -> None:
        """Say that nothing was asked."""
        log.error("payments.nobody_to_ask", actor=actor_id, attempt=charge.attempt)


class Leaving:
    """A charge that waits for its event to be stored, in the place of a reply."""

    __slots__ = ("_actor_id", "_cashier", "_charge")

    def __init__(self, cashier: Cashier, actor_id: int, charge: Charge) -> None:
        self._cashier = cashier
        self._actor_id = actor_id
        self._charge = charge

    def done(self) -> bool:
        """Return whether nobody waits any more: the money is waited for."""
        return False

    def set_result(self, _answer: Answer, /) -> None:
        """Leave."""
        self._cashier.charge(self._actor_id, self._charge)

    def set_exception(self, _error: Exception, /) -> None:
        """Stay: nobody can say whether what justifies it is stored."""
