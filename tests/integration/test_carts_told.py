"""What happens to carts, as `allocator journal show` and `journal tail` tell it."""

from tests.integration.api_shapes import Checkout
from tests.integration.carts import Till, paying
from tests.integration.journal_command import journal
from tests.integration.multi_orders import dispatch, settled


async def test_a_purchase_is_told_from_the_cart_to_what_left(database_url: str) -> None:
    """By the id of the cart, of the checkout, or of the order that it became."""
    async with paying(database_url) as till:
        ids, checkout = await bought(till)
        asked = [await journal("show", id_, "--database-url", database_url) for id_ in ids.values()]
        tail = await journal("tail", "--after", "start", "--database-url", database_url)

    told = asked[0]
    assert [each.lines for each in asked] == [told.lines] * 3
    parts = [line.split("  ")[1:] for line in told.lines]
    assert told.code == 0
    assert {part[0] for part in parts} == {f"cart {ids['cart']}"}
    said = [[" ".join(part.split()) for part in line[1:]] for line in parts]
    order, attempt = f"order {ids['order']}", f"checkout {ids['checkout']}"
    assert said == [
        ["#1", "opened for 42", "→ open"],
        ["#2", "to hold 2 of tea-01@main", "→ open"],
        ["#3", "#2 done: 2 of #1", "→ open"],
        ["#4", "to hold 9 of tea-01@main", "→ open"],
        ["#5", "#4 not done: 5 of 9 available", "→ open"],
        ["#6", "to be paid by 42: 500 minor units of EUR", attempt, "→ capturing"],
        ["#7", f"#6 paid, reference {checkout.reference}: {quoted(checkout)}", attempt, "→ paid"],
        ["#8", "its pools have done what was decided", order, "→ paid"],
        ["#9", "dispatched 1 of line 1", order, "→ partly_dispatched"],
        ["#10", "its pools have done what was decided", order, "→ partly_dispatched"],
    ]
    of_cart = [line for line in tail.lines if line.split("  ")[1].startswith("cart ")]
    assert [line.split("  ")[2] for line in of_cart] == [line[0] for line in said]


async def bought(till: Till) -> tuple[dict[str, str], Checkout]:
    """Have two units bought, of which one leaves."""
    till.warehouse, till.product = "main", "tea-01"
    await till.open()
    await till.priced(250)
    await till.received(quantity=5)
    cart = await till.filled(2, customer="42")
    assert (await till.fill(cart, 9)).status == 409
    checkout = await till.decided(await till.pay(cart))
    assert checkout.order is not None
    await settled(till)
    await dispatch(till, await till.shown(checkout.order), (till, 1))
    await settled(till)
    return {"cart": cart.id, "checkout": checkout.id, "order": checkout.order}, checkout


def quoted(checkout: Checkout) -> str:
    return f'"{checkout.detail}"'
