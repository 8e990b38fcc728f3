"""A payment provider and what it says of charges, in any order, late and twice; and an operator."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from allocator.domain import kinds
from allocator.domain.checkouts import BeginCheckout, Charge, Outcome, PaymentHeard, ResolveCheckout
from tests.property.places import World

PRICES = {"tea": 250, "pot": 1999}
TIMEOUT_MS = 10 * 60_000

Taken: TypeAlias = Literal["paid", "failed"]
"""Whether the money was taken, as the provider has it."""


@dataclass
class Sent:
    """A charge that was sent, and what has become of it at the provider."""

    cart: int
    charge: Charge
    outcome: Taken | None = None


@dataclass
class Bank:
    """Asked by the carts of a world; what leaves, leaves when its event is stored, in that life."""

    world: World
    sent: list[Sent] = field(default_factory=list)

    def check_out(
        self, cart: int, *, seen: int, rows_max: int | None = None, hangs_up: bool = False
    ) -> None:
        """A client pays; with `rows_max`, the cart crashes with so many rows of it stored.

        Args:
            cart: Which one.
            seen: The version of it that the client saw.
            rows_max: None for no crash.
            hangs_up: Whether it crashes when the event is stored and nothing is sent yet.
        """
        life, state = self.world.lives[cart], self.world.cart(cart)
        prices = tuple((line.line.pool, PRICES[line.line.product]) for line in state.filled())
        command = BeginCheckout(
            seen=seen, prices=prices, currency="EUR", client_id=7, timeout_ms=TIMEOUT_MS
        )
        is_seen = seen == state.version and not state.edits
        decision = life.decide(command, now_ms=self.world.now_ms, rows_max=rows_max)
        assert is_seen or not isinstance(decision, tuple)
        if rows_max is not None or hangs_up:
            life.crash(from_snapshot=False)
            self.world.send(cart, again=True)
            return
        for event in decision if isinstance(decision, tuple) else ():
            charge = kinds.outgoing(life.state, event)
            if isinstance(charge, Charge):
                self.sent.append(Sent(cart, charge))

    def decide(self, which: int, outcome: Taken) -> None:
        """The provider takes the money, or does not; once."""
        if self.sent[which].outcome is None:
            self.sent[which].outcome = outcome

    def tell(self, which: int, *, broken: bool = False) -> None:
        """An answer arrives, perhaps again; or somebody gives up hope to get it."""
        sent = self.sent[which]
        outcome: Outcome = "unknown" if broken else sent.outcome or "unknown"
        reference = None if outcome == "unknown" else f"charge {which}"
        heard = PaymentHeard(attempt=sent.charge.attempt, outcome=outcome, reference=reference)
        decision = self.world.ask(sent.cart, heard)
        assert isinstance(decision, tuple)
        assert all(kinds.outgoing(self.world.cart(sent.cart), each) is None for each in decision)
        self.world.send(sent.cart)

    def resolve(self, which: int, outcome: Taken) -> None:
        """An operator says what became of a charge, rightly or not."""
        self.settle(self.sent[which].cart, self.sent[which].charge.attempt, outcome)

    def settle(self, cart: int, attempt: int, outcome: Taken = "failed") -> None:
        """An operator settles an attempt, whether or not it was ever sent."""
        checkout = self.world.cart(cart).checkout(attempt)
        command = ResolveCheckout(attempt=attempt, outcome=outcome, reference="by hand")
        decision = self.world.ask(cart, command)
        assert checkout is not None
        assert isinstance(decision, tuple) == (checkout.status == "unknown")
        self.world.send(cart)
