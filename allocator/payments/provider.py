"""What a payment provider is to us: somebody who is asked once for each attempt."""

from typing import Protocol

from msgspec import Struct

from allocator.domain.checkouts import Charge, Outcome


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of a charge.

    Attributes:
        outcome: `paid`: the provider said so. `failed`: it said so, or was never asked; there may
            be another attempt. `unknown`: it may have been asked and did not say. Nobody may ask
            again; a person has to look.
        detail: Why, for people.
        reference: What the provider calls the charge, if it said.
    """

    outcome: Outcome
    detail: str
    reference: str | None = None


class PaymentProvider(Protocol):
    """Whoever moves the money."""

    async def charge(self, charge: Charge, *, within_s: float) -> Verdict:
        """Ask for a charge, once, and return what became of it after at most `within_s`.

        It never asks again, and never raises, whatever the provider or the network does.
        Cancelled, it gives up at once; whether anybody was asked is then unknown.
        """
        ...
