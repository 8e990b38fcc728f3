"""A crowd of clients who order, dispatch and cancel at once, and remember what they were told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random

import aiohttp

from tests.integration.serving import Answer, Server, order_of, problem_of, until

ENDS = {"dispatch": "dispatched", "cancel": "cancelled"}

_QUANTITY_MAX = 3
_PAUSE_S = 0.02
_AWAY_S = 0.1
"""Whoever finds nobody there leaves the machine to the server that is starting."""


@dataclass
class Told:
    """What the clients know. Every order has a tag of its own, which it carries as its customer.

    Attributes:
        placed: Ids of the orders that were acknowledged, by tag.
        denied: Tags of orders of which the server said that there is none.
        unsure: Tags of orders of which nobody said whether there is one.
        closed: How orders ended, by tag, as acknowledged.
        maybe_closed: How orders may have ended: asked for, and not answered.
        orders: What was asked for under a tag: product and quantity.
        keyed: Tags that are keys, too.
        wrong: Answers that must not be.
        unknown: How many answers were that the outcome is unknown.
        unavailable: How many answers were 503, these among them.
        lost: How many requests got no answer.
    """

    placed: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    closed: dict[str, str] = field(default_factory=dict)
    maybe_closed: dict[str, str] = field(default_factory=dict)
    orders: dict[str, tuple[str, int]] = field(default_factory=dict)
    keyed: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    repeats: int = 0
    refused: int = 0
    unknown: int = 0
    unavailable: int = 0
    lost: int = 0
    slowest_s: float = 0.0

    @property
    def acknowledged(self) -> int:
        """Promises so far."""
        return len(self.placed) + len(self.closed)


@asynccontextmanager
async def crowd(
    server: Server, *skus: str, also: tuple[Server, ...] = (), clients: int = 12
) -> AsyncIterator[Told]:
    """Clients at work, who finish what they began when they are called off.

    A client repeats what has a key until it is told the outcome, so in the end some server must
    serve. Where there are several, each request goes to any.
    """
    told, called_off = Told(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            client = _Client((server, *also), told, skus, number)
            tasks.create_task(client.shop(called_off))
        try:
            yield told
        finally:
            called_off.set()


async def promised(told: Told, *, more: int) -> None:
    """Wait until as many more promises have been made."""
    enough = told.acknowledged + more
    await until(lambda: told.acknowledged >= enough)


class _Client:
    def __init__(
        self, servers: tuple[Server, ...], told: Told, skus: tuple[str, ...], number: int
    ) -> None:
        self._servers = servers
        self._told = told
        self._skus = skus
        self._number = number
        self._random = Random(number)
        self._open: list[str] = []

    async def shop(self, called_off: asyncio.Event) -> None:
        for visit in count():
            if called_off.is_set():
                return
            keyed = self._random.random() < 0.5
            if self._open and self._random.random() < 0.4:
                tag = self._open.pop(self._random.randrange(len(self._open)))
                await self._close(tag, self._random.choice(sorted(ENDS)), keyed=keyed)
            else:
                await self._place(f"{self._number}-{visit}", keyed=keyed)

    async def _place(self, tag: str, *, keyed: bool) -> None:
        told = self._told
        sku, quantity = self._random.choice(self._skus), self._random.randint(1, _QUANTITY_MAX)
        told.orders[tag] = (sku, quantity)
        if keyed:
            told.keyed.add(tag)
        answer = await self._ask(
            "/orders",
            {"product": sku, "warehouse": "main", "quantity": quantity, "customer": tag},
            key=tag if keyed else None,
        )
        if answer is None or answer.status == 503:
            nothing_done = answer is not None and "nothing was done" in problem_of(answer).detail
            (told.denied if nothing_done else told.unsure).add(tag)
        elif answer.status == 409:
            told.refused += 1
            told.denied.add(tag)
        elif answer.status == 201:
            told.placed[tag] = order_of(answer).id
            self._open.append(tag)
            if keyed and self._random.random() < 0.3:
                await self._place_again(tag)
        else:
            told.wrong.append(f"order {tag}: {answer}")

    async def _place_again(self, tag: str) -> None:
        told = self._told
        sku, quantity = told.orders[tag]
        body = {"product": sku, "warehouse": "main", "quantity": quantity, "customer": tag}
        answer = await self._ask("/orders", body, key=tag)
        assert answer is not None
        told.repeats += 1
        if answer.status != 201 or order_of(answer).id != told.placed[tag]:
            told.wrong.append(f"repeat of {tag}, which is {told.placed[tag]}: {answer}")

    async def _close(self, tag: str, how: str, *, keyed: bool) -> None:
        told = self._told
        path = f"/orders/{told.placed[tag]}/{how}"
        answer = await self._ask(path, None, key=f"{how} {tag}" if keyed else None)
        if answer is None or answer.status == 503:
            told.maybe_closed[tag] = ENDS[how]
        elif answer.status == 200 and order_of(answer).status == ENDS[how]:
            told.closed[tag] = ENDS[how]
        else:
            told.wrong.append(f"{how} of {tag}: {answer}")

    async def _ask(self, path: str, body: object, *, key: str | None) -> Answer | None:
        """Ask once, or with a key until the outcome is known; None is no answer."""
        while True:
            answer = await self._ask_once(path, body, key=key)
            if answer is not None and answer.status != 503:
                return answer
            # As a client would, to let others try.
            await asyncio.sleep(_AWAY_S if answer is None else _PAUSE_S)
            if key is None:
                return answer

    async def _ask_once(self, path: str, body: object, *, key: str | None) -> Answer | None:
        told = self._told
        try:
            server = self._random.choice(self._servers)
            answer = await server.ask("POST", path, body, key=key)
        except TimeoutError:
            told.wrong.append(f"{path}: no answer")
            raise
        except (aiohttp.ClientError, OSError):
            told.lost += 1
            return None
        told.slowest_s = max(told.slowest_s, answer.took_s)
        if answer.status == 503:
            told.unavailable += 1
            told.unknown += "outcome is unknown" in problem_of(answer).detail
            if not answer.is_unavailable:
                told.wrong.append(f"{path}: 503 without Retry-After: {answer}")
        return answer
