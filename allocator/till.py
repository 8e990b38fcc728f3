"""Where charges of a worker's checkouts go, and what becomes of them comes back to."""

from allocator.actors.errands import Asker
from allocator.domain.checkouts import Charge, PaymentHeard
from allocator.payments.calls import Calls
from allocator.payments.provider import Verdict


class Till:
    """Has charges taken, and tells their checkouts, whichever worker has these by then.

    Args:
        calls: Sees them through.
        asker: Reaches any actor.
    """

    def __init__(self, calls: Calls, *, asker: Asker) -> None:
        self._calls = calls
        self._asker = asker

    def charge(self, actor_id: int, charge: Charge) -> None:
        """Have a charge taken for an actor's checkout; returns at once."""

        async def report(verdict: Verdict) -> None:
            await self._asker.ask(
                actor_id,
                PaymentHeard(
                    attempt=charge.attempt,
                    outcome=verdict.outcome,
                    reference=verdict.reference,
                    detail=verdict.detail or None,
                ),
            )

        self._calls.charge(charge, report)
