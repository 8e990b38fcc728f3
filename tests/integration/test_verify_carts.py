"""What is derived of carts and checkouts: the same in every way, and verified."""

from allocator.domain.checkouts import PaymentHeard
from allocator.persistence.projection import Projection
from allocator.persistence.rebuilding import open_rebuilding
from tests.integration.api_shapes import Checkout
from tests.integration.carts import FICKLE, Till, paying
from tests.integration.multi_orders import dispatch, settled
from tests.integration.shop import database
from tests.integration.verifying import faults

TABLES = ("carts", "checkouts", "process_orders", "process_order_lines", "orders", "balances")


async def busy_day(till: Till) -> None:
    """Carts of every status there is, and checkouts likewise."""
    here, there = await till.stocked(50), await till.stocked(50)
    paid: list[Checkout] = []
    for number in range(8):
        cart = await here.filled(1 + number % 2)
        await there.fill(cart, 2)
        if number % 3 == 0:
            await here.fill(cart, 0)
        await there.fill(cart, 99)
        checkout = await here.decided(await here.pay(cart))
        if checkout.status == "failed":
            await owe(till, checkout) if number % 2 else None
            await here.decided(await here.pay(cart))
        elif checkout.order is not None:
            paid.append(checkout)
            order = await here.shown(checkout.order)
            assert (await dispatch(here, order, (there, 1))).status == 200
            if number % 2:
                assert (await dispatch(here, order)).status == 200
    assert paid
    given_up = await here.filled(3)
    assert (await here.send("DELETE", f"/carts/{given_up.id}")).status == 204
    await here.filled(1)
    await settled(here)
    await till.projected()


async def owe(till: Till, checkout: Checkout) -> None:
    """Hear late that money was taken."""
    actor_id, attempt = till.server.context.ids.unseal(checkout.id) or (0, 0)
    heard = PaymentHeard(attempt=attempt, outcome="paid")
    await till.server.context.asker.ask(actor_id, heard, principal="")


async def derived(url: str) -> dict[str, list[object]]:
    async with database(url) as connection:
        sql = "SELECT to_jsonb(each) FROM {} AS each ORDER BY 1"
        rows = {table: await connection.fetch(sql.format(table)) for table in TABLES}
        quarantined = await connection.fetch("SELECT * FROM quarantined_projections")
    assert quarantined == []
    return {table: [row[0] for row in found] for table, found in rows.items()}


async def test_what_is_derived_of_carts_is_what_their_journal_says(database_url: str) -> None:
    """And the same whether it was made in steps, or at once."""
    async with paying(database_url, FICKLE) as till:
        await busy_day(till)
    assert await faults(database_url) == []
    before = await derived(database_url)
    async with database(database_url) as connection:
        sql = "UPDATE projections SET era = 0, xid = '0', events = 0"
        await connection.execute(sql)
        await connection.execute(
            "TRUNCATE orders, stocks, balances, ticket_options, moves, process_orders, "
            "process_order_lines, carts, checkouts"
        )
        era = await connection.fetchval("SELECT max(era) FROM journal")
    await Projection(url=database_url, era=era).catch_up()

    assert await derived(database_url) == before
    async with database(database_url) as connection:
        await connection.execute("UPDATE checkouts SET amount = amount + 1 WHERE status = 'paid'")
        await connection.execute("UPDATE carts SET customer = '1' WHERE status = 'closed'")
        carts = [row[0] for row in await connection.fetch("SELECT actor_id FROM carts")]
    assert {fault.kind for fault in await faults(database_url)} == {"cart"}

    async with open_rebuilding(database_url) as rebuilding:
        for actor_id in carts:
            await rebuilding.cart(actor_id)
    assert await derived(database_url) == before
