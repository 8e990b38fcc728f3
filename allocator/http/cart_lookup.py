"""Carts and checkouts by their ids, and how they are shown."""

from collections.abc import Mapping
from typing import Final

from allocator.domain.carts import Cart as CartState
from allocator.domain.catalogue import Price
from allocator.domain.checkouts import Checkout as CheckoutState
from allocator.domain.checkouts import Item
from allocator.domain.queries import CartQuery
from allocator.domain.rows import Address
from allocator.http.cart_shapes import Bought, Cart, CartLine, CartPrice, Checkout
from allocator.http.context import Context
from allocator.http.problems import ProblemError, not_found
from allocator.http.shapes import time_of

CART_SEQ: Final = 1
"""Of the row that opened a cart: the cart's id is its address."""

_KNOWN_MAX: Final = 100_000


class CartLookup:
    """Finds carts, and shows them.

    Args:
        context: Whom to ask.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = context.ids
        self._known: set[int] = set()

    async def actor(self, sealed: str) -> int:
        """Return the actor of the cart with this id; 404 if it is none of ours."""
        address = await self._address(sealed)
        if address is None or address[1] != CART_SEQ:
            raise ProblemError(not_found("cart"))
        return address[0]

    async def attempt(self, sealed: str) -> Address:
        """Return the cart and the attempt that an id of a checkout may stand for; 404 likewise."""
        address = await self._address(sealed)
        if address is None:
            raise ProblemError(not_found("checkout"))
        return address

    async def state(self, actor_id: int) -> CartState:
        """Return a cart as it stands; never stale."""
        seen = await self._context.asker.look(actor_id, CartQuery())
        assert seen.cart is not None
        return seen.cart

    async def prices(self, cart: CartState) -> dict[str, Price | None]:
        """Return what the products in a cart cost now, by sku."""
        skus = {line.line.product for line in cart.filled()}
        return await self._context.carts.prices(skus) if skus else {}

    async def shown(self, actor_id: int, cart: CartState) -> Cart:
        """Show a cart, what is due counting as done."""
        now_ms = self._context.clock()
        is_due = cart.open_checkout is None and cart.expires_at_ms <= now_ms
        status = "expired" if cart.status == "open" and is_due else cart.status
        assert status is not None, "it begins open"
        is_kept = status == "open"
        last = cart.checkouts[-1] if cart.checkouts else None
        expires = is_kept and cart.open_checkout is None
        return Cart(
            id=self._ids.seal(actor_id, CART_SEQ),
            customer=cart.customer,
            status=status,
            created_at=time_of(cart.opened_at_ms),
            expires_at=time_of(cart.expires_at_ms) if expires else None,
            changing=is_kept and bool(cart.edits),
            lines=await self._lines(cart) if status in {"open", "paid"} else [],
            checkout=None if last is None else self._ids.seal(actor_id, last.attempt),
            order=None if cart.order is None else self._ids.seal(actor_id, cart.order.number),
        )

    async def _lines(self, cart: CartState) -> list[CartLine]:
        """Show what is held, at the prices of now, or at those at which it is paid for."""
        last = cart.checkouts[-1] if cart.checkouts else None
        if last is not None and (last.is_open or last.status == "paid"):
            currency, items = last.begun.currency, last.begun.items
            return _lines_of(
                cart, {item.product: Price(amount=item.price, currency=currency) for item in items}
            )
        return _lines_of(cart, await self.prices(cart))

    def checkout(self, actor_id: int, checkout: CheckoutState) -> Checkout:
        """Show an attempt to pay."""
        is_paid = checkout.status == "paid"
        return Checkout(
            id=self._ids.seal(actor_id, checkout.attempt),
            cart=self._ids.seal(actor_id, CART_SEQ),
            status=checkout.status,
            amount=checkout.begun.amount,
            currency=checkout.begun.currency,
            items=[bought_of(item) for item in checkout.begun.items],
            created_at=time_of(checkout.begun_at_ms),
            changed_at=time_of(checkout.changed_at_ms),
            deadline=time_of(checkout.begun.deadline_ms),
            order=self._ids.seal(actor_id, checkout.changed) if is_paid else None,
            reference=checkout.reference,
            detail=checkout.detail,
            resolved=checkout.resolved,
        )

    async def _address(self, sealed: str) -> Address | None:
        """Return the address that an id stands for, if it is one of a cart's.

        What an actor is never changes, so what was found is remembered.
        """
        address = self._ids.unseal(sealed)
        if address is None or address[0] in self._known:
            return address
        if not await self._context.carts.is_cart(address[0]):
            return None
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known.add(address[0])
        return address


def bought_of(item: Item) -> Bought:
    """Show what is paid for."""
    return Bought(
        product=item.product,
        warehouse=item.warehouse,
        quantity=item.quantity,
        price=item.price,
    )


def _lines_of(cart: CartState, prices: Mapping[str, Price | None]) -> list[CartLine]:
    return [
        CartLine(
            product=each.line.product,
            warehouse=each.line.warehouse,
            quantity=each.line.quantity,
            price=None
            if (price := prices.get(each.line.product)) is None
            else CartPrice(amount=price.amount, currency=price.currency),
        )
        for each in cart.filled()
    ]
