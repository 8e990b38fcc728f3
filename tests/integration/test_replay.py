"""A replay against a server that works, that is troubled, and that is wrong."""

import asyncio
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from allocator.replay.command import DIFFERENT, IDENTICAL, IMPOSSIBLE, run_replay
from tests.integration.replay_shop import Faults, ReplayShop

HISTORY = Path(__file__).parents[1] / "data" / "shop-history.csv"
UNUSED_PORT_URL = "http://127.0.0.1:1"


class Replaying:
    """A replay in a thread of its own, and what it has written so far."""

    def __init__(
        self,
        url: str,
        *,
        file: Path = HISTORY,
        clients: int = 4,
        patience_s: float = 60,
        terminal: bool = False,
    ) -> None:
        self.written = io.StringIO()
        console = Console(file=self.written, force_terminal=terminal, width=100)
        self.exit = asyncio.ensure_future(
            asyncio.to_thread(
                run_replay,
                file=file,
                url=url,
                clients=clients,
                console=console,
                patience_s=patience_s,
            )
        )

    @property
    def text(self) -> str:
        return self.written.getvalue()

    def row(self, name: str) -> str:
        """What the report says beside `name`."""
        [row] = [line for line in self.text.splitlines() if line.startswith(f"{name} ")]
        return row.removeprefix(name).strip()


async def replay(shop: ReplayShop, *, clients: int = 4) -> tuple[int, Replaying]:
    replaying = Replaying(shop.url, clients=clients)
    return await replaying.exit, replaying


async def usage_error_of(replaying: Replaying) -> str:
    """Return the sentence with which a replay refuses to start."""
    assert await replaying.exit == IMPOSSIBLE
    [sentence] = replaying.text.splitlines()
    return sentence


async def until_written(replaying: Replaying, text: str) -> None:
    """Wait for `text`, as long as the replay runs and the test may take."""
    async with asyncio.timeout(30):
        while text not in replaying.text:
            assert not replaying.exit.done(), replaying.text
            await asyncio.sleep(0.01)


async def test_a_history_ends_in_the_calculated_balances() -> None:
    async with ReplayShop() as shop:
        code, replaying = await replay(shop)

        assert code == IDENTICAL, replaying.text
        assert replaying.row("orders placed") == "11"
        assert replaying.row("orders refused") == "2"
        assert replaying.row("returns") == "2 cancelled an open order, 4 received as stock"
        assert replaying.row("skipped") == "2 lines: 1 of quantity 0, 1 without a product"
        assert replaying.row("answers") == "19 compared, 0 different"
        assert replaying.row("balances") == "8 compared, 0 different"
        # 1 warehouse, 8 products of which 7 open with stock, 19 lines, 8 balances.
        assert replaying.row("requests").startswith("43 answered, ")
        assert replaying.text.splitlines()[-1] == "identical to a sequential calculation"


async def test_the_shop_ends_up_with_what_the_history_says() -> None:
    async with ReplayShop() as shop:
        await replay(shop)
        [warehouse] = shop.warehouses

        assert shop.balance(warehouse, "POT") == (1, 10)
        assert shop.balance(warehouse, "TEA-1") == (12, 6)
        assert shop.names["POT"] == "Tea pot"
        assert max(shop.references) == "return C700014"
        assert set(shop.customers) == {"21001", "21002", "21003", "21004", "21005"}


async def test_two_codes_that_become_one_sku_stay_two_products() -> None:
    async with ReplayShop() as shop:
        _, replaying = await replay(shop)

        assert "'BANK CHARGES' is BANK_CHARGES, 'mug red' is mug_red-" in replaying.text
        assert {shop.names[sku] for sku in shop.names if sku.startswith("mug_red")} == {
            'Mug "Ruby"',
            "Mug Scarlet",
        }


async def test_a_second_run_on_the_same_server_is_a_run_of_its_own() -> None:
    async with ReplayShop() as shop:
        first, _ = await replay(shop)
        second, _ = await replay(shop)

        assert (first, second) == (IDENTICAL, IDENTICAL)
        assert len(shop.warehouses) == 2


async def test_customers_share_the_connections_and_a_product_is_never_sent_twice_at_once() -> None:
    async with ReplayShop() as shop:
        await replay(shop, clients=3)

        assert shop.most_at_once == 3
        assert shop.most_of_one_product == 1


@pytest.mark.parametrize(
    "faults",
    [Faults(busy_every=2), Faults(cut_every=3), Faults(busy_every=5, cut_every=3)],
    ids=["busy", "cut", "both"],
)
async def test_what_goes_unanswered_is_repeated_and_counts_once(faults: Faults) -> None:
    async with ReplayShop(faults) as shop:
        code, replaying = await replay(shop)

        assert code == IDENTICAL, replaying.text
        assert int(replaying.row("repeated")) > 0


async def test_a_request_that_is_never_answered_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("allocator.replay.command.ATTEMPT_S", 0.2)
    async with ReplayShop(Faults(mute_every=7)) as shop:
        code, replaying = await replay(shop)

        assert code == IDENTICAL, replaying.text
        assert "no answer in time" in replaying.text


async def test_a_crash_in_the_middle_is_only_a_pause() -> None:
    async with ReplayShop(Faults(crash_after=15)) as shop:
        replaying = Replaying(shop.url)
        await asyncio.wait_for(shop.crashed.wait(), timeout=30)
        await shop.close()
        await until_written(replaying, "no answer yet")
        await shop.listen()

        assert await replaying.exit == IDENTICAL, replaying.text
        assert int(replaying.row("repeated")) > 0


async def test_a_server_that_forgets_keys_is_found_out() -> None:
    async with ReplayShop(Faults(cut_every=3, forgets_keys=True)) as shop:
        code, replaying = await replay(shop)

        assert code == DIFFERENT
        assert replaying.text.splitlines()[-1] == "DIFFERENT from a sequential calculation"


async def test_a_wrong_balance_is_found_out() -> None:
    async with ReplayShop(Faults(lies_about="POT")) as shop:
        code, replaying = await replay(shop)

        assert code == DIFFERENT
        assert replaying.row("answers") == "19 compared, 0 different"
        assert replaying.row("balances") == "8 compared, 1 different"
        assert "POT: calculated available 1, ordered 10, held 0, on_hand 11" in replaying.text
        assert "answered available 2, ordered 10, held 0, on_hand 12" in replaying.text


async def test_an_order_that_should_have_been_refused_is_found_out() -> None:
    async with ReplayShop(Faults(oversells=True)) as shop:
        code, replaying = await replay(shop)

        assert code == DIFFERENT
        assert "line 9, POT: calculated refused, answered placed" in replaying.text


async def test_an_order_that_should_have_been_placed_is_found_out_and_not_cancelled() -> None:
    async with ReplayShop(Faults(refuses_orders_of="TEA-1")) as shop:
        code, replaying = await replay(shop)

        assert code == DIFFERENT
        assert "line 2, TEA-1: calculated placed, answered refused" in replaying.text
        assert (
            "line 10, TEA-1: calculated cancelled, "
            "answered not sent: the order of line 2 was refused"
        ) in replaying.text


async def test_a_cancellation_that_fails_is_found_out() -> None:
    async with ReplayShop(Faults(refuses_cancels=True)) as shop:
        code, replaying = await replay(shop)

        assert code == DIFFERENT
        assert "line 10, TEA-1: calculated cancelled, answered refused" in replaying.text


async def test_an_answer_against_the_contract_ends_the_replay_with_one_sentence() -> None:
    problem = b'{"title": "No", "detail": "the till is closed"}'
    async with ReplayShop(Faults(answers=("POST", "/stocks", 422, problem))) as shop:
        code, replaying = await replay(shop, clients=1)

        assert code == IMPOSSIBLE
        assert replaying.text == (
            "POST /stocks for line 2 was answered with 422: the till is closed\n"
        )


async def test_a_product_that_the_server_does_not_take_ends_the_replay() -> None:
    answer = ("PUT", "/products/POT", 422, b"not for sale")
    async with ReplayShop(Faults(answers=answer)) as shop:
        code, replaying = await replay(shop)

        assert code == IMPOSSIBLE
        assert replaying.text.splitlines()[-1] == (
            "PUT /products/POT for line 6 was answered with 422: 'not for sale'"
        )


async def test_a_body_that_is_not_an_order_ends_the_replay() -> None:
    async with ReplayShop(Faults(answers=("POST", "/orders", 201, b"[]"))) as shop:
        code, replaying = await replay(shop)

        assert code == IMPOSSIBLE
        assert "was answered with 201: the body is not as agreed" in replaying.text


async def test_a_server_that_stays_away_ends_the_replay_when_the_patience_does() -> None:
    replaying = Replaying(UNUSED_PORT_URL, patience_s=0.2)

    assert await replaying.exit == IMPOSSIBLE
    assert re.fullmatch(
        r"PUT /warehouses/online-[0-9a-f]{8} went unanswered for 0\.2 s \(connection refused\)",
        replaying.text.splitlines()[-1],
    )


async def test_a_server_that_is_busy_for_ever_ends_the_replay() -> None:
    async with ReplayShop(Faults(busy_every=1)) as shop:
        replaying = Replaying(shop.url, patience_s=0.2)

        assert await replaying.exit == IMPOSSIBLE
        assert "(status 503)" in replaying.text.splitlines()[-1]


async def test_nothing_is_sent_of_a_file_with_an_error(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(
        HISTORY.read_text() + "700016,POT,Tea pot,many,2024-03-01T09:00:00Z,1,,France\n"
    )
    async with ReplayShop() as shop:
        error = await usage_error_of(Replaying(shop.url, file=file))

        assert error == f"{file}: line 24: the quantity 'many' is not a whole number"
        assert shop.warehouses == set()


async def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "none.csv"
    error = await usage_error_of(Replaying(UNUSED_PORT_URL, file=file))

    assert error == f"{file} cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://h:70000", "http://a b", "http://h/?a"],
)
async def test_an_address_that_is_none_is_one_sentence(url: str) -> None:
    error = await usage_error_of(Replaying(url))

    assert error == f"{url!r} is not the address of a server, like http://127.0.0.1:8080"


async def test_nobody_cannot_send_anything() -> None:
    error = await usage_error_of(Replaying(UNUSED_PORT_URL, clients=0))

    assert error == "0 clients cannot send anything; it takes at least 1"


async def test_a_terminal_sees_a_bar_for_each_phase() -> None:
    async with ReplayShop() as shop:
        replaying = Replaying(shop.url, terminal=True)

        assert await replaying.exit == IDENTICAL
        for phase in ("opening products", "sending lines", "reading balances"):
            assert phase in replaying.text
        assert "19/19" in replaying.text


async def test_without_a_terminal_each_phase_is_told_in_plain_lines() -> None:
    async with ReplayShop() as shop:
        _, replaying = await replay(shop)

        assert "sending lines: 19 of 19" in replaying.text.splitlines()
        assert "\x1b" not in replaying.text
