"""Orders of several lines, carts and checkouts, without one of their guards."""

from typing import Final

from msgspec import structs

from allocator.actors.actor import Actor
from allocator.domain import cart_rules, checkout_rules, hold_rules, order_rules
from allocator.domain.carts import Cart, CartExpired
from allocator.domain.checkouts import (
    BeginCheckout,
    Charge,
    CheckoutEvent,
    CheckoutRefusal,
    PaymentHeard,
    RefundDue,
    ResolveCheckout,
)
from allocator.domain.holds import Confirm, HoldAsked, HoldConfirmed, HoldEvent
from allocator.domain.kinds import Event, State, outgoing
from allocator.domain.orders import Order
from allocator.domain.pool import Pool
from allocator.domain.processes import Ask
from allocator.domain.transit import Trace
from allocator.payments.calls import Calls
from allocator.simulation.mutant import Method, Mutant


def _charge_before_commit(_: Method) -> Method:
    def mutant(self: Actor, state: State, event: Event) -> None:
        charge = outgoing(state, event)
        if isinstance(charge, Charge):
            self._office.cashier.charge(self.actor_id, charge)

    return mutant


def _charge_again(activate: Method) -> Method:
    def mutant(
        self: Actor, state: State, *, digest: bytes, snapshot_seq: int, wake_at_ms: int | None
    ) -> None:
        checkout = state.open_checkout if isinstance(state, Cart) else None
        if checkout is not None and checkout.status == "capturing":
            begun = checkout.begun
            charge = Charge(
                attempt=checkout.attempt,
                amount=begun.amount,
                currency=begun.currency,
                client_id=begun.client_id,
                deadline_ms=begun.deadline_ms,
            )
            self._office.cashier.charge(self.actor_id, charge)
        activate(self, state, digest=digest, snapshot_seq=snapshot_seq, wake_at_ms=wake_at_ms)

    return mutant


def _call_unknown_failed(hear: Method) -> Method:
    def mutant(cart: Cart, command: PaymentHeard) -> tuple[CheckoutEvent, ...]:
        outcome = "failed" if command.outcome == "unknown" else command.outcome
        heard: tuple[CheckoutEvent, ...] = hear(cart, structs.replace(command, outcome=outcome))
        return heard

    return mutant


def _drop_late_money(hear: Method) -> Method:
    def mutant(cart: Cart, command: PaymentHeard) -> tuple[CheckoutEvent, ...]:
        heard: tuple[CheckoutEvent, ...] = hear(cart, command)
        return () if heard and isinstance(heard[0], RefundDue) else heard

    return mutant


def _expire_while_paid_for(wake: Method) -> Method:
    def mutant(cart: Cart, *, now_ms: int) -> tuple[Event, ...]:
        if cart.status == "open" and cart.expires_at_ms <= now_ms:
            return (CartExpired(),)
        decided: tuple[Event, ...] = wake(cart, now_ms=now_ms)
        return decided

    return mutant


def _pay_for_what_changes(why_not: Method) -> Method:
    def mutant(cart: Cart, command: BeginCheckout) -> CheckoutRefusal | None:
        refusal: CheckoutRefusal | None = why_not(structs.replace(cart, edits=()), command)
        return refusal

    return mutant


def _resolve_what_is_settled(resolve: Method) -> Method:
    def mutant(cart: Cart, command: ResolveCheckout) -> tuple[CheckoutEvent, ...] | CheckoutRefusal:
        checkouts = tuple(
            structs.replace(each, status="unknown") if each.status == "failed" else each
            for each in cart.checkouts
        )
        decided: tuple[CheckoutEvent, ...] | CheckoutRefusal = resolve(
            structs.replace(cart, checkouts=checkouts), command
        )
        return decided

    return mutant


def _keep_the_last(letting_go: Method) -> Method:
    def mutant(pools: tuple[int, ...], *, step: int) -> tuple[Ask, ...]:
        asks: tuple[Ask, ...] = letting_go(pools, step=step)
        return asks[:-1] if len(asks) > 1 else asks

    return mutant


def _keep_what_was_declined(intents: Method) -> Method:
    def mutant(order: Order) -> tuple[Ask, ...]:
        asks: tuple[Ask, ...] = intents(order)
        return asks[-1:] if order.status == "declined" else asks

    return mutant


def _confirm_fewer(decide: Method) -> Method:
    def mutant(pool: Pool, command: HoldAsked, trace: Trace) -> tuple[HoldEvent, ...]:
        if isinstance(command, Confirm) and len(trace.held) > 1:
            trace = structs.replace(trace, held=trace.held[:1])
        decided: tuple[HoldEvent, ...] = decide(pool, command, trace)
        return decided

    return mutant


def _release_what_was_paid(evolve: Method) -> Method:
    def mutant(pool: Pool, event: HoldEvent, processes: object, *, at_ms: int) -> None:
        evolve(pool, event, processes, at_ms=at_ms)
        if isinstance(event, HoldConfirmed):
            for seq, units in event.picks:
                pool.give_back(pool.lots[seq], units)

    return mutant


def _linger_for_nothing(_: Method) -> Method:
    return property(lambda _calls: False)  # type: ignore[return-value]  # of a property


CART_MUTANTS: Final[dict[str, Mutant]] = {
    "charge before commit": Mutant(
        rule="a charge leaves when its checkout is stored",
        owner=Actor,
        method="_pay",
        make=_charge_before_commit,
    ),
    "charge again": Mutant(
        rule="a recovered checkout never asks for its money",
        owner=Actor,
        method="activate",
        make=_charge_again,
    ),
    "call unknown failed": Mutant(
        rule="what nobody knows of a charge stays unknown",
        owner=checkout_rules,
        method="hear",
        make=_call_unknown_failed,
    ),
    "drop late money": Mutant(
        day="hasty clocks",
        rule="money that is heard of after a failure is owed back",
        owner=checkout_rules,
        method="hear",
        make=_drop_late_money,
    ),
    "expire while paid for": Mutant(
        rule="a cart does not expire while it is paid for",
        owner=cart_rules,
        method="_wake",
        make=_expire_while_paid_for,
    ),
    "pay for what changes": Mutant(
        rule="a checkout begins when every change of its cart is settled",
        owner=checkout_rules,
        method="_why_not",
        make=_pay_for_what_changes,
    ),
    "resolve what is settled": Mutant(
        rule="only what is unknown can be resolved",
        owner=checkout_rules,
        method="resolve",
        make=_resolve_what_is_settled,
    ),
    "keep the last line": Mutant(
        rule="a cart that has ended lets go of every pool",
        owner=cart_rules,
        method="_letting_go",
        make=_keep_the_last,
    ),
    "keep what was declined": Mutant(
        rule="an order that is declined lets go of every pool that held",
        owner=order_rules,
        method="intents",
        make=_keep_what_was_declined,
    ),
    "confirm fewer": Mutant(
        rule="all that is held is ordered",
        owner=hold_rules,
        method="decide",
        make=_confirm_fewer,
    ),
    "sell what was confirmed": Mutant(
        rule="units that are ordered are for sale to nobody else",
        owner=hold_rules,
        method="evolve",
        make=_release_what_was_paid,
    ),
    "linger for nothing": Mutant(
        rule="a worker that leaves waits for what it has asked the provider",
        owner=Calls,
        method="busy",
        make=_linger_for_nothing,
    ),
}
