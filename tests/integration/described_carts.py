"""Carts and checkouts of the document's examples, and all that can be wrong with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from itertools import count

import msgspec
from aiohttp import web

from allocator.domain.carts import LINES_MAX
from allocator.domain.checkouts import CHECKOUTS_MAX
from allocator.http.reference.examples import CART_ID, CHECKOUT_ID, PAID_ORDER_ID
from tests.integration.described import Contract, Said

PAYS, UNCLEAR, POOR, NEVER = "42", "43", "44", "45"
"""Customers: what the provider makes of each."""

_SLOWLY_S = 0.3
_numbers = count()


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """A payment provider that decides by who is to pay."""

    async def charge(request: web.Request) -> web.Response:
        client_id = str((await request.json())["client_id"])
        if client_id == POOR:
            return web.Response(status=HTTPStatus.PAYMENT_REQUIRED)
        await asyncio.sleep(3_600 if client_id == NEVER else _SLOWLY_S)
        if client_id == UNCLEAR:
            return web.Response(status=HTTPStatus.BAD_GATEWAY)
        return web.json_response({"id": "charge-1"}, status=HTTPStatus.CREATED)

    app = web.Application()
    app.router.add_post("/charges", charge)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/charges"
    finally:
        await runner.cleanup()


async def have_cart(contract: Contract, customer: str) -> None:
    """Have the cart of the examples be another one."""
    body = msgspec.json.encode({"customer": customer})
    said = await contract.ask("open_cart", body=body, key=f"another {next(_numbers)}")
    assert said.status == HTTPStatus.CREATED, said
    contract.ids[CART_ID] = said.headers["Location"].removeprefix("/carts/")


async def have_checkout(contract: Contract) -> None:
    """Have the checkout of the examples be one of the cart that there is."""
    said = await contract.ask("check_out", key=f"another {next(_numbers)}")
    assert said.status == HTTPStatus.ACCEPTED, said
    contract.ids[CHECKOUT_ID] = said.headers["Location"].removeprefix("/checkouts/")
    contract.ids.pop(PAID_ORDER_ID, None)


async def decided(contract: Contract) -> Said:
    """Wait for what becomes of the checkout."""
    return await contract.ask("get_checkout", query={"wait": "20"})


async def of_another(contract: Contract, name: str) -> Said:
    """Do with another cart what cannot be done with one that was paid for."""
    await have_cart(contract, UNCLEAR if name == "resolve_checkout" else NEVER)
    await contract.ask("put_cart_line")
    if name == "resolve_checkout":
        await have_checkout(contract)
        await decided(contract)
    return await contract.ask(name)


async def provoke_refused_carts(contract: Contract) -> None:
    """Ask for what cannot be done with carts; the first one has been paid for."""
    await contract.ask("check_out", key="over")
    await contract.ask("put_cart_line")
    await contract.ask("close_cart")
    for key in ("resolve-42", "again"):
        await contract.ask("resolve_checkout", key=key)
    await have_cart(contract, NEVER)
    await contract.ask("open_cart", body=b'{"customer": "45"}', key="one more")
    await contract.ask("open_cart", body=b'{"customer": "46"}')
    await contract.ask("check_out", key="empty")
    await contract.ask("put_cart_line", body=b'{"quantity": 1000000}')
    await contract.ask("put_cart_line")
    await contract.ask("check_out")  # the key of the examples is another cart's
    await have_checkout(contract)
    for name in ("put_cart_line", "close_cart"):
        await contract.ask(name)
    await contract.ask("check_out", key="under way")
    await provoke_settled_twice(contract)
    await provoke_too_many(contract)


async def provoke_settled_twice(contract: Contract) -> None:
    """Use a key again for another finding."""
    await have_cart(contract, UNCLEAR)
    await contract.ask("put_cart_line")
    await have_checkout(contract)
    await decided(contract)
    await contract.ask("resolve_checkout", key="finding")
    await contract.ask("resolve_checkout", key="finding", body=b'{"outcome": "failed"}')


async def provoke_too_many(contract: Contract) -> None:
    """Have more lines and attempts than there may be."""
    await have_cart(contract, POOR)
    await contract.ask("put_cart_line")
    for _ in range(CHECKOUTS_MAX):
        await have_checkout(contract)
        await decided(contract)
    await contract.ask("check_out", key="one more attempt")
    await asyncio.gather(*(have_line(contract, f"line-{number}") for number in range(LINES_MAX)))


async def have_line(contract: Contract, sku: str) -> None:
    """Put a product of its own into the cart."""
    product = msgspec.json.encode({"sku": sku, "name": sku})
    await contract.ask("post_product", body=product)
    stock = msgspec.json.encode({"product": sku, "warehouse": "main"})
    await contract.ask("receive_stock", body=stock, key=sku)
    await contract.ask("put_cart_line", at={"product": sku}, body=b'{"quantity": 1}')
