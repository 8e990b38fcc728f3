"""The workers of one server: whichever takes a request, the one that owns the actor decides.

A request for a shard of our own goes straight to our worker. Any other is forwarded; and when its
shard is on the move, or its owner just died, it waits here for the new one, within a bound.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from allocator.actors.forwarding import Forwarded, Forwarding
from allocator.actors.keys import KeyedRequest
from allocator.actors.messages import Answer
from allocator.actors.peering import Peering
from allocator.actors.wire import (
    Ask,
    Done,
    Failed,
    Heard,
    Look,
    Measure,
    Measured,
    Moved,
    Notice,
    Refused,
    Request,
    Response,
    Retire,
    Reused,
    Seen,
    Stay,
    answer_of,
    failure_of,
    response_of,
)
from allocator.actors.worker import Worker
from allocator.domain.ids import SHARD_MASK
from allocator.domain.kinds import Command
from allocator.domain.queries import Query, View
from allocator.errors import AllocatorError, MovedError
from allocator.peers.door import Respond

T = TypeVar("T")

_MEASURE_S: Final = 1.0


class Cluster:
    """Asks whichever worker of this server owns an actor. Satisfies `messages.Asker`.

    Args:
        worker: Ours.
        peering: Knows the others.
        figures: Returns what this process has counted, encoded.
        may_retire: Stops this process if nobody looks after it; returns whether it does.
    """

    def __init__(
        self,
        worker: Worker,
        peering: Peering,
        *,
        figures: Callable[[], bytes],
        may_retire: Callable[[], bool],
    ) -> None:
        self._worker = worker
        self._peering = peering
        self._figures = figures
        self._may_retire = may_retire
        self._loop = asyncio.get_running_loop()
        self._forwarding = Forwarding(worker, peering, carry_out=self._handle)

    @property
    def ready(self) -> bool:
        """Whether every shard has an owner who can be asked."""
        return self._worker.open and self._peering.complete

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        """Have an actor decide; the answer comes when it is durable.

        Raises:
            AllocatorError: Not accepted; nothing was done.
        """
        if actor_id & SHARD_MASK in self._worker.shards:
            return self._worker.ask(actor_id, command, principal=principal)
        return self._forward(Ask(actor_id, command, principal))

    def ask_once(self, request: KeyedRequest) -> asyncio.Future[Answer]:
        """Like `ask`, but a repeat of a request that succeeded gets the first answer again."""
        if request.actor_id & SHARD_MASK in self._worker.shards:
            return self._worker.ask_once(request)
        return self._forward(
            Ask(
                request.actor_id,
                request.command,
                request.principal,
                request.key,
                request.request_digest,
            )
        )

    async def begin(self, scope: str | None) -> int:
        """Return the id of an actor that is about to come into being, with its first message."""
        return await self._worker.begin(scope)

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state, which is durable when this returns."""
        if actor_id & SHARD_MASK in self._worker.shards:
            try:
                return await self._worker.look(actor_id, query)
            except MovedError:
                pass  # on its way while we looked
        seen: asyncio.Future[View] = self._loop.create_future()

        def hear(response: Response) -> None:
            if isinstance(response, Seen):
                _resolve(seen, response.view)
            else:
                _fail(seen, _nonsense(response))

        self._forwarding.send(
            Forwarded(Look(actor_id, query), hear=hear, fail=partial(_fail, seen))
        )
        return await seen

    async def figures(self) -> dict[str, bytes | None]:
        """Return what every worker has counted, by its name; None for one that is silent."""
        calls = self._peering.call_all(Measure())
        if calls:
            await asyncio.wait(calls.values(), timeout=_MEASURE_S)
        told: dict[str, bytes | None] = {self._peering.name: self._figures()}
        for name, call in calls.items():
            heard = call.done() and not call.cancelled() and call.exception() is None
            response = call.result() if heard else None
            told[name] = response.figures if isinstance(response, Measured) else None
            call.cancel()
        return told

    def handle(self, request: Request, respond: Respond[Response]) -> None:
        """Carry a peer's request out, if the actor is ours; it is never forwarded again."""
        if isinstance(request, Ask | Look):
            self._peering.statistics.received += 1
        self._handle(request, respond)

    def _handle(self, request: Request, respond: Respond[Response]) -> None:
        match request:
            case Ask():
                self._carry_out(request, respond)
            case Look(actor_id=actor_id, query=query):
                looking = self._loop.create_task(self._worker.look(actor_id, query))
                looking.add_done_callback(partial(self._answer, actor_id, respond, Seen))
            case Measure():
                respond(Measured(self._figures()))
            case Notice():
                self._peering.look_around()
                respond(Heard())
            case Retire():
                respond(Heard() if self._may_retire() else Failed("supervised"))
            case Stay(address=address, within_ms=within_ms):
                self._peering.note_stay(address, within_ms=within_ms)
                respond(Heard())

    def _carry_out(self, request: Ask, respond: Respond[Response]) -> None:
        try:
            if request.key is None:
                reply = self._worker.ask(
                    request.actor_id, request.command, principal=request.principal
                )
            else:
                reply = self._worker.ask_once(
                    KeyedRequest(
                        request.actor_id,
                        request.command,
                        request.principal,
                        request.key,
                        request.request_digest,
                    )
                )
        except AllocatorError as error:
            respond(self._failure_of(error, request.actor_id))
        else:
            reply.add_done_callback(partial(self._answer, request.actor_id, respond, response_of))

    def _answer(
        self,
        actor_id: int,
        respond: Respond[Response],
        form: Callable[[T], Response],
        done: asyncio.Future[T],
    ) -> None:
        if done.cancelled():
            respond(Failed("unknown"))
            return
        error = done.exception()
        if error is None:
            respond(form(done.result()))
        else:
            respond(self._failure_of(error, actor_id))

    def _failure_of(self, error: BaseException, actor_id: int) -> Moved | Failed:
        if isinstance(error, MovedError):
            return Moved(self._peering.address_of(actor_id & SHARD_MASK))
        return failure_of(error)

    def _forward(self, request: Ask) -> asyncio.Future[Answer]:
        reply: asyncio.Future[Answer] = self._loop.create_future()

        def hear(response: Response) -> None:
            if isinstance(response, Done | Refused | Reused | Heard):
                try:
                    _resolve(reply, answer_of(response))
                except ValueError as error:  # of a newer release
                    _fail(reply, error)
            else:
                _fail(reply, _nonsense(response))

        self._forwarding.send(Forwarded(request, hear=hear, fail=partial(_fail, reply)))
        return reply


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _nonsense(response: Response) -> AllocatorError:
    return AllocatorError(f"another worker answered with {type(response).__name__}")
