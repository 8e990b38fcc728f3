"""Requests on their way to whoever owns their shard: sent, sent again, or given up.

Two workers may both be wrong about a third. A worker that is asked for what it does not have says
who does, as far as it knows; that is believed once, and then the owners are looked up.

A request whose line broke is repeated if it has a key. Its first attempt may still lie unread
before a worker that was thought dead, and whose shards may come back to it. It cannot happen
twice, the key sees to that; but it could happen once somebody else has said no. So a "no" is
passed on only if nobody is left who may yet do it.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from allocator.actors.peering import Peering, PeerLink
from allocator.actors.wire import (
    Ask,
    Done,
    Failed,
    Look,
    Moved,
    Response,
    Reused,
    Seen,
    error_of,
)
from allocator.actors.worker import Worker
from allocator.domain.ids import SHARD_MASK
from allocator.errors import AllocatorError, OutcomeUnknownError, UnavailableError
from allocator.peers.door import Handle
from allocator.peers.errors import PeerUnreachableError

PATIENCE_S: Final = 5.0
"""So long a request waits for somebody who owns its shard."""

_EXPIRE_EVERY_S: Final = 0.1

_Final: TypeAlias = Done | Reused | Seen
"""What no other attempt can contradict any more."""


class Forwarded:
    """A request on its way.

    Args:
        request: What is asked.
        hear: Told the response, once.
        fail: Told why there is none, once.

    Attributes:
        repeatable: Whether it may be sent again though it may have been carried out.
        doubts: The lines on which it was lost: it may have been carried out at their other end.
        directed: Whether the latest attempt went where another worker had said.
        deadline_s: Of the loop's time: when to give up.
    """

    __slots__ = (
        "_fail",
        "deadline_s",
        "directed",
        "doubts",
        "hear",
        "repeatable",
        "request",
        "shard",
    )

    def __init__(
        self,
        request: Ask | Look,
        *,
        hear: Callable[[Response], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.request = request
        self.shard = request.actor_id & SHARD_MASK
        self.repeatable = isinstance(request, Look) or request.key is not None
        self.doubts: list[PeerLink] = []
        self.directed = False
        self.deadline_s = 0.0
        self.hear = hear
        self._fail = fail

    def fail(self, error: BaseException) -> None:
        """Tell who asked; that nothing was done is only said if it is true of every attempt."""
        is_denial = isinstance(error, UnavailableError)
        self._fail(OutcomeUnknownError() if self.doubts and is_denial else error)


class Forwarding:
    """Sends requests, and keeps those that wait for an owner.

    Args:
        worker: Ours.
        peering: Knows the others; tells us when it knows more.
        carry_out: Has our own worker answer what has come to us meanwhile.
    """

    def __init__(
        self, worker: Worker, peering: Peering, *, carry_out: Handle[Ask | Look, Response]
    ) -> None:
        self._worker = worker
        self._peering = peering
        self._carry_out = carry_out
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Forwarded] = []
        self._impatience: asyncio.TimerHandle | None = None
        peering.changed = self._try_again

    def send(self, forwarded: Forwarded) -> None:
        """Have a request answered, or failed, within `PATIENCE_S` and the time of one call."""
        forwarded.deadline_s = self._loop.time() + PATIENCE_S
        self._send(forwarded)

    def _send(self, forwarded: Forwarded) -> None:
        """Send it to the owner; wait for one if there is none."""
        link = self._peering.owner_of(forwarded.shard)
        if link is None:
            self._keep(forwarded)
        else:
            self._call(link, forwarded)

    def _call(self, link: PeerLink, forwarded: Forwarded) -> None:
        try:
            call = link.call(forwarded.request)
        except PeerUnreachableError:
            self._peering.suspect(link)
            self._keep(forwarded)
        except AllocatorError as error:
            forwarded.fail(error)
        else:
            self._peering.statistics.sent += 1
            call.add_done_callback(partial(self._heard, link, forwarded))

    def _heard(self, link: PeerLink, forwarded: Forwarded, call: asyncio.Future[Response]) -> None:
        if call.cancelled():
            forwarded.fail(OutcomeUnknownError())
            return
        error = call.exception()
        if error is None:
            self._settle(forwarded, call.result())
        elif isinstance(error, PeerUnreachableError):
            self._keep(forwarded)
        elif forwarded.repeatable and isinstance(error, OutcomeUnknownError):
            if isinstance(forwarded.request, Ask):
                forwarded.doubts.append(link)
            self._keep(forwarded)
        else:
            self._peering.statistics.failed += 1
            forwarded.fail(error)

    def _settle(self, forwarded: Forwarded, response: Response) -> None:
        if isinstance(response, _Final):
            forwarded.hear(response)
        elif isinstance(response, Moved):
            self._redirect(forwarded, response.owner)
        elif isinstance(response, Failed):
            forwarded.fail(error_of(response))
        elif all(self._peering.has_ended(link) for link in forwarded.doubts):
            forwarded.hear(response)
        else:
            self._peering.statistics.failed += 1
            forwarded.fail(OutcomeUnknownError())

    def _redirect(self, forwarded: Forwarded, owner: str) -> None:
        """Ask whom another worker has named, unless the one before had only been named, too."""
        link = None if forwarded.directed else self._peering.line_at(owner)
        if link is None:
            self._keep(forwarded)
            return
        forwarded.directed = True
        self._peering.look_around()  # whoever asks next is to know it, too
        self._call(link, forwarded)

    def _keep(self, forwarded: Forwarded) -> None:
        """Try again when the owners are known anew."""
        forwarded.directed = False
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

    def _give_up(self, forwarded: Forwarded) -> None:
        self._peering.statistics.failed += 1
        forwarded.fail(UnavailableError(reason="no worker serves this shard"))

    def _try_again(self) -> None:
        waiting, self._waiting = self._waiting, []
        for forwarded in waiting:
            if self._peering.closed:
                self._give_up(forwarded)
            elif forwarded.shard in self._worker.shards:
                self._carry_out(
                    forwarded.request, partial(self._settle, forwarded)
                )  # it came to us
            else:
                self._send(forwarded)
