"""How many carts a customer has open, as far as one worker knows."""

import asyncio
from collections.abc import Collection, Sequence

from allocator.domain.catalogue import Price
from allocator.domain.rows import Page, PaidRow
from allocator.http.open_carts import OpenCarts


class SlowReadModel:
    """Knows of no cart yet, and takes until `answers` is set to say so."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()

    async def open_carts(
        self,
        _customer: str,
        _recent: Collection[int],
        *,
        limit: int,  # noqa: ARG002
    ) -> tuple[set[int], set[int]]:
        await self.answers.wait()
        return set(), set()

    async def is_cart(self, _actor_id: int) -> bool:
        raise AssertionError

    async def is_key_used(self, _principal: str, _key: str) -> bool:
        raise AssertionError

    async def prices(self, _skus: Collection[str]) -> dict[str, Price | None]:
        raise AssertionError

    async def paid(self, _customer: str | None, _page: Page) -> Sequence[PaidRow]:
        raise AssertionError


async def test_carts_that_were_opened_while_the_read_model_was_asked_count() -> None:
    read_model = SlowReadModel()
    carts = OpenCarts(read_model, limit=2)
    asking = asyncio.ensure_future(carts.is_full("42", "key 3"))
    await asyncio.sleep(0)  # it has begun to wait
    for actor_id in (7, 8):
        carts.begin("42", f"key {actor_id}")
        carts.note("42", actor_id)
        carts.end("42", f"key {actor_id}")
    read_model.answers.set()

    assert await asking


async def test_a_repeat_of_what_is_about_to_be_opened_needs_no_room() -> None:
    read_model = SlowReadModel()
    read_model.answers.set()
    carts = OpenCarts(read_model, limit=1)
    carts.begin("42", "key 1")

    assert not await carts.is_full("42", "key 1")
    assert await carts.is_full("42", "key 2")

    carts.begin("42", "key 1")
    carts.end("42", "key 1")
    assert await carts.is_full("42", "key 2"), "one of the two is still under way"
    carts.end("42", "key 1")
    assert not await carts.is_full("42", "key 2")
