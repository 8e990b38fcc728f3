"""Processes, and pools that are asked by them, without one of their guards."""

from collections import deque
from typing import Final

import msgspec

from allocator.actors.actor import Actor
from allocator.actors.messages import Noted, Reply
from allocator.actors.worker import Worker
from allocator.domain import move_rules, transit_rules
from allocator.domain.kinds import State, blank, intents, is_process
from allocator.domain.messages import Decision
from allocator.domain.moves import Move
from allocator.domain.pool import Pool
from allocator.domain.transfers import Asked, LetGo
from allocator.domain.transit import NO_TRACE, Processes, Trace
from allocator.simulation.mutant import Method, Mutant


def _ask_before_commit(_: Method) -> Method:
    def mutant(_self: Actor, departure: Reply) -> None:
        departure.set_result(Noted())

    return mutant


def _resume_nothing(activate: Method) -> Method:
    def mutant(
        self: Actor, state: State, *, digest: bytes, snapshot_seq: int, wake_at_ms: int | None
    ) -> None:
        waiting, self._mailbox = self._mailbox, deque()
        activate(
            self,
            state if not is_process(state) else blank("move"),
            digest=digest,
            snapshot_seq=snapshot_seq,
            wake_at_ms=wake_at_ms,
        )
        if self.errand is not None:  # as if everything had left that was intended before
            self.errand._asks.renew(intents(state))
        self.state, self._mailbox = state, waiting
        self.drain(state)

    return mutant


def _go_any_way(begin: Method) -> Method:
    async def mutant(self: Worker, _scope: str | None) -> int:
        return int(await begin(self, None))

    return mutant


def _forget_releases(decide: Method) -> Method:
    def mutant(pool: Pool, command: Asked, *, now_ms: int) -> Decision:
        released = pool.processes is not None and command.process in pool.processes.released
        if released and not isinstance(command, LetGo):  # to let go again does no harm
            return transit_rules._do(pool, command, NO_TRACE)
        decision: Decision = decide(pool, command, now_ms=now_ms)
        return decision

    return mutant


def _forget_steps(note: Method) -> Method:
    def mutant(self: Processes, process: int, trace: Trace) -> None:
        note(self, process, msgspec.structs.replace(trace, step=0))

    return mutant


def _take_anything_in(_: Method) -> Method:
    def mutant(_self: Pool, _product: str | None) -> bool:
        return True

    return mutant


def _trust_the_clock(wake_at: Method) -> Method:
    def mutant(move: Move) -> int | None:
        return None if wake_at(move) is None else move.requested_at_ms + 1_000

    return mutant


PROCESS_MUTANTS: Final[dict[str, Mutant]] = {
    "ask before commit": Mutant(
        rule="an ask leaves when the event that justifies it is durable",
        owner=Actor,
        method="depart",
        make=_ask_before_commit,
    ),
    "resume nothing": Mutant(
        rule="a recovered process asks what is still outstanding",
        owner=Actor,
        method="activate",
        make=_resume_nothing,
    ),
    "trust the clock": Mutant(
        day="hours ahead",
        rule="a process that is not at its end is woken in every life of a worker",
        owner=move_rules,
        method="wake_at",
        make=_trust_the_clock,
    ),
    "begin anywhere": Mutant(
        rule="a repeat of what begins a process goes the way of the first request",
        owner=Worker,
        method="begin",
        make=_go_any_way,
    ),
    "forget releases": Mutant(
        rule="an ask of a process that has let go changes nothing",
        owner=transit_rules,
        method="decide",
        make=_forget_releases,
    ),
    "forget steps": Mutant(
        rule="a step is done once, however often it is asked",
        owner=Processes,
        method="note",
        make=_forget_steps,
    ),
    "take anything in": Mutant(
        rule="a location that holds one product takes in no other",
        owner=Pool,
        method="has_room_for",
        make=_take_anything_in,
    ),
}
