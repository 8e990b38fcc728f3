"""The workers of one server: whichever takes a request, the one that owns the actor decides.

A request for a shard of our own goes straight to our worker. Any other is forwarded; and when its
shard is on the move, or its owner just died, it waits here for the new one, within a bound.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import structlog

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
    answer_of,
    error_of,
    failure_of,
    response_of,
)
from allocator.actors.worker import Worker
from allocator.domain.ids import SHARD_MASK
from allocator.domain.messages import Command
from allocator.domain.queries import Query, View
from allocator.errors import AllocatorError, MovedError, OutcomeUnknownError, UnavailableError
from allocator.peers.door import Respond
from allocator.peers.errors import PeerUnreachableError

log = structlog.get_logger()

T = TypeVar("T")

_MEASURE_S: Final = 1.0
_EXPIRE_EVERY_S: Final = 0.1

PATIENCE_S: Final = 5.0
"""So long a request waits for somebody who owns its shard."""


class _Forwarded:
    """A request on its way to whoever owns its shard.

    Attributes:
        repeatable: Whether it may be sent again though it may have been carried out.
        doubtful: Whether it was, and may have been.
    """

    __slots__ = ("_fail", "deadline_s", "doubtful", "hear", "repeatable", "request", "shard")

    def __init__(
        self,
        request: Ask | Look,
        *,
        deadline_s: float,
        hear: Callable[[Response], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.request = request
        self.shard = request.actor_id & SHARD_MASK
        self.repeatable = isinstance(request, Look) or request.key is not None
        self.doubtful = False
        self.deadline_s = deadline_s
        self.hear = hear
        self._fail = fail

    def fail(self, error: BaseException) -> None:
        """Tell who asked; that nothing was done is only said if it is true of every attempt."""
        is_denial = isinstance(error, UnavailableError)
        self._fail(OutcomeUnknownError() if self.doubtful and is_denial else error)


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
        self._waiting: list[_Forwarded] = []
        self._impatience: asyncio.TimerHandle | None = None
        peering.changed = self._try_again

    @property
    def ready(self) -> bool:
        """Whether every shard has an owner who can be asked."""
        return self._worker.open and self._peering.complete

    def ask(self, actor_id: int, command: Command) -> asyncio.Future[Answer]:
        """Have an actor decide; the answer comes when it is durable.

        Raises:
            AllocatorError: Not accepted; nothing was done.
        """
        if actor_id & SHARD_MASK in self._worker.shards:
            return self._worker.ask(actor_id, command)
        return self._forward(Ask(actor_id, command))

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

        self._send(self._forwarded(Look(actor_id, query), hear, partial(_fail, seen)))
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
                looking.add_done_callback(partial(_respond, respond, Seen))
            case Measure():
                respond(Measured(self._figures()))
            case Notice():
                self._peering.look_around()
                respond(Heard())
            case Retire():
                respond(Heard() if self._may_retire() else Failed("supervised"))

    def _carry_out(self, request: Ask, respond: Respond[Response]) -> None:
        try:
            if request.key is None:
                reply = self._worker.ask(request.actor_id, request.command)
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
            respond(failure_of(error))
        else:
            reply.add_done_callback(partial(_respond, respond, response_of))

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

        self._send(self._forwarded(request, hear, partial(_fail, reply)))
        return reply

    def _forwarded(
        self,
        request: Ask | Look,
        hear: Callable[[Response], None],
        fail: Callable[[BaseException], None],
    ) -> _Forwarded:
        deadline_s = self._loop.time() + PATIENCE_S
        return _Forwarded(request, deadline_s=deadline_s, hear=hear, fail=fail)

    def _send(self, forwarded: _Forwarded) -> None:
        """Send it to the owner; wait for one if there is none."""
        link = self._peering.owner_of(forwarded.shard)
        if link is None:
            self._keep(forwarded)
            return
        try:
            call = link.call(forwarded.request)
        except PeerUnreachableError:
            self._peering.suspect(link)
            self._keep(forwarded)
        except AllocatorError as error:
            forwarded.fail(error)
        else:
            self._peering.statistics.sent += 1
            call.add_done_callback(partial(self._heard, forwarded))

    def _heard(self, forwarded: _Forwarded, call: asyncio.Future[Response]) -> None:
        if call.cancelled():
            forwarded.fail(OutcomeUnknownError())
            return
        error = call.exception()
        if error is None:
            self._settle(forwarded, call.result())
        elif isinstance(error, PeerUnreachableError):
            self._keep(forwarded)
        elif forwarded.repeatable and isinstance(error, OutcomeUnknownError):
            forwarded.doubtful = isinstance(forwarded.request, Ask)
            self._keep(forwarded)
        else:
            self._peering.statistics.failed += 1
            forwarded.fail(error)

    def _settle(self, forwarded: _Forwarded, response: Response) -> None:
        if isinstance(response, Moved):
            self._keep(forwarded)
        elif isinstance(response, Failed):
            forwarded.fail(error_of(response))
        else:
            forwarded.hear(response)

    def _keep(self, forwarded: _Forwarded) -> None:
        """Try again when the owners are known anew."""
        peering = self._peering
        if self._loop.time() >= forwarded.deadline_s or peering.closed or peering.alone:
            self._give_up(forwarded)
            return
        peering.statistics.retried += 1
        self._waiting.append(forwarded)
        peering.look_around()
        if self._impatience is None:
            self._impatience = self._loop.call_at(forwarded.deadline_s, self._expire)

    def _expire(self) -> None:
        """Keep nobody waiting for too long, should looking around take for ever."""
        self._impatience = None
        now_s = self._loop.time()
        waiting, self._waiting = self._waiting, []
        for forwarded in waiting:
            if now_s >= forwarded.deadline_s:
                self._give_up(forwarded)
            else:
                self._waiting.append(forwarded)
        if self._waiting:
            self._impatience = self._loop.call_later(_EXPIRE_EVERY_S, self._expire)

    def _give_up(self, forwarded: _Forwarded) -> None:
        self._peering.statistics.failed += 1
        forwarded.fail(UnavailableError(reason="no worker serves this shard"))

    def _try_again(self) -> None:
        waiting, self._waiting = self._waiting, []
        for forwarded in waiting:
            if self._peering.closed:
                self._give_up(forwarded)
            elif forwarded.shard in self._worker.shards:
                self._handle(forwarded.request, partial(self._settle, forwarded))  # it came to us
            else:
                self._send(forwarded)


def _respond(
    respond: Respond[Response], form: Callable[[T], Response], done: asyncio.Future[T]
) -> None:
    if done.cancelled():
        respond(Failed("unknown"))
        return
    error = done.exception()
    respond(failure_of(error) if error is not None else form(done.result()))


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _nonsense(response: Response) -> AllocatorError:
    return AllocatorError(f"another worker answered with {type(response).__name__}")
