"""Workers without one of their guards."""

import asyncio
from typing import Any, Final

import msgspec

from allocator.actors.actor import Actor
from allocator.actors.directory import Directory
from allocator.actors.forwarding import Forwarded
from allocator.actors.keys import KeyedRequest, Keys
from allocator.actors.messages import Answer, Envelope, Outcome, Reply
from allocator.actors.worker import Worker
from allocator.actors.writer import JournalWriter, Question, _Turn
from allocator.errors import AllocatorError, JournalError
from allocator.simulation.mutant import Method, Mutant


def _answer_before_commit(append: Method) -> Method:
    def mutant(self: JournalWriter, actor: Actor, outcome: Outcome, envelope: Envelope) -> None:
        append(self, actor, outcome, envelope)
        if envelope.reply is not None and not envelope.reply.done():
            envelope.reply.set_result(outcome)

    return mutant


def _refuse_without_barrier(confirm: Method) -> Method:
    def mutant(self: JournalWriter, actor: Actor, reply: Reply | None, answer: Answer) -> None:
        if reply is None:
            confirm(self, actor, reply, answer)
            return
        actor.unanswered -= 1
        self.unanswered -= 1
        if not reply.done():
            reply.set_result(answer)

    return mutant


def _keep_memory(_: Method) -> Method:
    def mutant(self: Worker, unreleased: list[Actor]) -> None:
        for actor in unreleased:
            actor.unanswered = 0
        self.keys.forget_unanswered(JournalError("lost"))

    return mutant


def _ask_every_time(_: Method) -> Method:
    def mutant(self: Keys, request: KeyedRequest, reply: "asyncio.Future[Answer]") -> None:
        envelope = Envelope(
            request.command, reply, request.principal, request.key, request.request_digest
        )
        self._find_actor(request.actor_id).tell(envelope)

    return mutant


def _look_nothing_up(_: Method) -> Method:
    def mutant(_self: JournalWriter, question: Question) -> None:
        asyncio.get_running_loop().call_soon(question.hear, None)

    return mutant


def _compare_no_bodies(ask: Method) -> Method:
    def mutant(self: Keys, request: KeyedRequest, reply: "asyncio.Future[Answer]") -> None:
        ask(self, msgspec.structs.replace(request, request_digest=b""), reply)

    return mutant


def _release_what_failed(_: Method) -> Method:
    def mutant(self: JournalWriter) -> list[Actor]:
        lost = list(self._turns)
        self._turns.clear()
        self._turns.append(_Turn())
        self._in_flight = None
        self._work.clear()
        for turn in lost:
            self.unanswered -= len(turn.answers) + len(turn.questions)
            for _actor, reply, answer in turn.answers:
                if reply is not None and not reply.done():
                    reply.set_result(answer)
        actors = (actor for turn in lost for actor, _, _ in turn.answers if actor is not None)
        return list(dict.fromkeys(actors))

    return mutant


def _send_without_waiting(_: Method) -> Method:
    async def one(self: JournalWriter, turn: _Turn) -> None:
        try:
            found = await self._send(turn)
        except JournalError as error:
            self._turns.appendleft(turn)
            await self._repair(error, self.abandon())
        else:
            self._release(turn)
            self._tell(turn.questions, found)

    async def mutant(self: JournalWriter) -> None:
        under_way: list[asyncio.Task[None]] = []
        while True:
            await self._work.wait()
            turn = self._turns.popleft()
            if not self._turns:
                self._turns.append(_Turn())
                self._work.clear()
            under_way.append(asyncio.create_task(one(self, turn)))

    return mutant


def _hand_over_at_once(_: Method) -> Method:
    async def mutant(_self: Worker, _shards: frozenset[int]) -> bool:
        return True

    return mutant


def _keep_what_moved(_: Method) -> Method:
    def mutant(_self: Directory, _shards: frozenset[int], *, because: AllocatorError) -> None:
        """Keep every actor in memory, should its shard come back one day."""
        del because

    return mutant


def _repeat_without_key(init: Method) -> Method:
    def mutant(self: Forwarded, *args: object, **kwargs: object) -> None:
        init(self, *args, **kwargs)
        self.repeatable = True

    return mutant


def _deny_after_doubt(_: Method) -> Method:
    def mutant(self: Forwarded, error: BaseException) -> None:
        self._fail(error)

    return mutant


def _forget_the_dates(_: Method) -> Method:
    def mutant(self: Actor, pool: Any) -> None:  # type: ignore[explicit-any]
        now_ms = max(self._clock(), pool.last_at_ms)
        self.used_ms = now_ms
        while self._mailbox:
            self._decide(pool, self._mailbox.popleft(), now_ms=now_ms)

    return mutant


def _passivate_what_is_busy(_: Method) -> Method:
    async def mutant(self: Directory, actor: Actor) -> None:
        if actor.state is not None and self._actors.get(actor.actor_id) is actor:
            del self._actors[actor.actor_id]

    return mutant


def _store_no_wake_ups(_: Method) -> Method:
    def mutant(_self: JournalWriter, _actor: Actor, _wake_at_ms: int | None) -> None:
        """Let the database not know when an actor wants to be woken."""

    return mutant


ACTOR_MUTANTS: Final[dict[str, Mutant]] = {
    "answer before commit": Mutant(
        rule="a reply leaves when its own events are durable",
        owner=JournalWriter,
        method="append",
        make=_answer_before_commit,
    ),
    "refuse without barrier": Mutant(
        rule="a refusal or a read waits for an append or a confirm sent after it",
        owner=JournalWriter,
        method="confirm",
        make=_refuse_without_barrier,
    ),
    "keep memory after a failed append": Mutant(
        rule="an actor whose append failed is dropped whole",
        owner=Worker,
        method="_give_up",
        make=_keep_memory,
    ),
    "release what failed": Mutant(
        rule="every reply of a failed append is unknown",
        owner=JournalWriter,
        method="abandon",
        make=_release_what_failed,
    ),
    "send without waiting": Mutant(
        rule="one append in flight",
        owner=JournalWriter,
        method="run",
        make=_send_without_waiting,
    ),
    "ask every time": Mutant(
        rule="a repeat of a success is answered, not done",
        owner=Keys,
        method="ask",
        make=_ask_every_time,
    ),
    "look nothing up": Mutant(
        rule="a key that is not known in memory is looked up in the journal",
        owner=JournalWriter,
        method="look_up",
        make=_look_nothing_up,
    ),
    "compare no bodies": Mutant(
        rule="a key used for another request is refused",
        owner=Keys,
        method="ask",
        make=_compare_no_bodies,
    ),
    "hand over at once": Mutant(
        day="comings and goings",
        rule="shards are given when nothing of them is under way",
        owner=Worker,
        method="_quieten",
        make=_hand_over_at_once,
    ),
    "keep what moved": Mutant(
        rule="actors of shards that are no longer ours leave memory",
        owner=Directory,
        method="keep_only",
        make=_keep_what_moved,
    ),
    "repeat without key": Mutant(
        rule="a request that may have been carried out is repeated only under a key",
        owner=Forwarded,
        method="__init__",
        make=_repeat_without_key,
    ),
    "deny after doubt": Mutant(
        day="silent lines",
        rule="that nothing was done is only said if it is true of every attempt",
        owner=Forwarded,
        method="fail",
        make=_deny_after_doubt,
    ),
    "forget the dates": Mutant(
        rule="lots past their date expire before the next message is decided",
        owner=Actor,
        method="drain",
        make=_forget_the_dates,
    ),
    "passivate what is busy": Mutant(
        day="restless",
        rule="an actor leaves memory only when nothing of it is under way",
        owner=Directory,
        method="_passivate",
        make=_passivate_what_is_busy,
    ),
    "store no wake-ups": Mutant(
        rule="a wake-up is stored with the row that changes it",
        owner=JournalWriter,
        method="wake",
        make=_store_no_wake_ups,
    ),
}
