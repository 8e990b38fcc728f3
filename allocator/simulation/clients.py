"""Clients as they are: impatient, repeating under a key, sure of nothing that they did not hear.

Each does one thing after the other and writes down what it asked, when, and what it heard. What
it sends may be slow, the worker that takes it may die, and an answer may come when nobody waits
any more.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from random import Random
from typing import Final, TypeAlias

import msgspec

from allocator.domain.kinds import Command
from allocator.domain.queries import Query
from allocator.errors import AllocatorError
from allocator.simulation.history import Attempt, Heard, Operation
from allocator.simulation.knowledge import Knowledge
from allocator.simulation.steps import Wish
from allocator.simulation.wants import Steal

PRINCIPAL: Final = "shop"
_LAST_ATTEMPTS_MAX: Final = 40
_PATIENCE_S: Final = (0.3, 2.0, 9.0, 9.0)
_BACK_OFF_S: Final = (0.01, 0.1, 0.6)
_DIGEST_BYTES: Final = 8

Send: TypeAlias = Callable[[Operation, Attempt], "asyncio.Future[Heard | None]"]
"""Has one attempt carried out by whichever worker takes it, which it writes into the attempt; None
is heard when the connection breaks. Nobody has to wait for it."""


class Clients:
    """Everybody who wants something.

    Args:
        send: How to reach the server.
        dice: Decides how patient each is.
        known: What they know together.
        note: Told what happens, if somebody wants to know: to say it costs more than to do it.

    Attributes:
        operations: In the order in which they began.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        send: Send,
        dice: Random,
        known: Knowledge,
        note: Callable[[str], None] | None,
    ) -> None:
        self.operations: list[Operation] = []
        self._send = send
        self._dice = dice
        self._note = note
        self._loop = loop
        self._tick = 0
        self._copies: list[asyncio.Task[Heard | None]] = []
        self._known = known
        self._successes: dict[int, str] = {}  # by client, the key of the latest

    async def live(self, wishes: Iterable[Wish]) -> None:
        """Carry one client's wishes out, one after the other, none before its time."""
        began_s = self._loop.time()
        for wish in wishes:
            wait_s = began_s + wish.at_ms / 1000 - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await self._carry_out(wish)

    async def look(self, actor_id: int, query: Query) -> Operation:
        """Read something, until somebody answers."""
        operation = self._begin(client=-1, actor_id=actor_id, ask=query, key=None)
        await self._insist(operation, copies=1, attempts=_LAST_ATTEMPTS_MAX)
        return operation

    async def _carry_out(self, wish: Wish) -> None:
        key = wish.key
        if isinstance(wish.want, Steal):
            key = self._successes.get(wish.client)
            if key is None:
                return
        question = self._known.question_for(wish, number=len(self.operations))
        if question is None:
            return
        operation = self._begin(
            client=wish.client, actor_id=question.actor_id, ask=question.ask, key=key
        )
        heard = await self._insist(operation, copies=wish.copies, attempts=wish.attempts)
        if self._known.learn(wish, heard) and operation.key is not None:
            self._successes[operation.client] = operation.key

    def _begin(
        self, *, client: int, actor_id: int, ask: Command | Query, key: str | None
    ) -> Operation:
        operation = Operation(
            number=len(self.operations),
            client=client,
            actor_id=actor_id,
            ask=ask,
            principal=PRINCIPAL if key is not None else "",
            key=key,
            request_digest=_digest_of(actor_id, ask) if key is not None else b"",
            attempts=[],
        )
        self.operations.append(operation)
        return operation

    async def _insist(self, operation: Operation, *, copies: int, attempts: int) -> Heard | None:
        """Ask until there is an answer, or, without a key, once; a read may be asked again."""
        repeatable = operation.key is not None or not isinstance(operation.ask, Command)
        for _ in range(attempts if repeatable else 1):
            for _ in range(copies - 1):
                self._copies.append(asyncio.create_task(self._attempt(operation)))
            heard = await self._attempt(operation)
            if heard is not None and not isinstance(heard, AllocatorError):
                return heard
            await asyncio.sleep(self._one_of(_BACK_OFF_S))
        return None

    async def _attempt(self, operation: Operation) -> Heard | None:
        attempt = Attempt(worker="", asked_at=self._next_tick())
        operation.attempts.append(attempt)
        if self._note is not None:
            self._note(f"{_name_of(operation)} asks {operation.ask} of {operation.actor_id:#x}")
        answer = self._send(operation, attempt)
        patience = self._loop.call_later(self._one_of(_PATIENCE_S), _give_up, answer)
        heard = await answer
        patience.cancel()
        if self._note is not None:
            self._note(f"{_name_of(operation)} hears {heard!r} from {attempt.worker or 'nobody'}")
        if heard is not None:
            attempt.answered_at = self._next_tick()
            attempt.answer = heard
        return heard

    def _one_of(self, delays_s: Sequence[float]) -> float:
        return delays_s[int(self._dice.random() * len(delays_s))]  # a third of what `choice` takes

    def _next_tick(self) -> int:
        self._tick += 1
        return self._tick


def _digest_of(actor_id: int, ask: Command | Query) -> bytes:
    return blake2b(msgspec.msgpack.encode((actor_id, ask)), digest_size=_DIGEST_BYTES).digest()


def _give_up(answer: "asyncio.Future[Heard | None]") -> None:
    if not answer.done():
        answer.set_result(None)


def _name_of(operation: Operation) -> str:
    return f"#{operation.number} client {operation.client} {operation.key or 'no key'}:"
