"""A payment provider as it may be: quick or slow, silent, out of reach, and it keeps its books."""

import asyncio
from random import Random
from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.checkouts import Charge
from allocator.payments.provider import Verdict
from allocator.persistence.memory.database import MemoryDatabase
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.process import Process, current_process

_WAY_S: Final = (0.001, 0.01, 0.1)
_THOUGHT_S: Final = (0.0, 0.02, 0.3, 0.3, 1.2, 3.0)
"""What it takes to decide; sometimes longer than anybody waits."""

Mood: TypeAlias = Literal["pays", "declines", "pays and is silent", "is silent", "is away"]

_MOODS: Final[tuple[Mood, ...]] = (
    *("pays",) * 5,
    "declines",
    "declines",
    "pays and is silent",
    "is silent",
    "is away",
)


class Entry(msgspec.Struct, kw_only=True):
    """What the provider was asked for, and what became of it.

    Attributes:
        begun: Whether the checkout was stored when it was asked.
        arrived: Whether the request reached it.
        took: Whether it has taken the money; never, if it has not in the end.
        said: What the worker was told.
        by: The worker that asked.
        cut: Whether that was ended before it could report.
    """

    client_id: int
    attempt: int
    amount: int
    currency: str
    begun: bool
    by: Process
    arrived: bool = False
    took: bool = False
    said: Verdict | None = None
    cut: bool = False

    @property
    def is_known(self) -> bool:
        """Whether somebody lived on who had heard what it said."""
        lives_on = self.by.alive or self.by.returncode == 0
        return self.said is not None and lives_on and not self.cut


class Provider:
    """Takes money, once for each time that it is asked. Satisfies `PaymentProvider`.

    Args:
        dice: Its own: how it does decides about nothing else.
        database: What is stored, to know who asks too early.

    Attributes:
        ledger: Of everything that it was asked for, or would have been.
    """

    def __init__(self, loop: SimulationLoop, *, dice: Random, database: MemoryDatabase) -> None:
        self.ledger: list[Entry] = []
        self._wire = loop.outside
        self._dice = dice
        self._database = database

    async def charge(self, charge: Charge, *, within_s: float) -> Verdict:
        """Ask for a charge; return what became of it as far as it can be known in time."""
        entry = Entry(
            client_id=charge.client_id,
            attempt=charge.attempt,
            amount=charge.amount,
            currency=charge.currency,
            begun=self._is_begun(charge),
            by=current_process(),
        )
        self.ledger.append(entry)
        mood = self._dice.choice(_MOODS)
        if mood == "is away":
            entry.said = Verdict(outcome="failed", detail="nothing was sent: nobody listens")
            return entry.said
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._wire.call_later(self._dice.choice(_WAY_S), self._arrive, entry, mood, answer)
        try:
            async with asyncio.timeout(within_s):
                entry.said = await answer
        except TimeoutError:
            entry.said = Verdict(outcome="unknown", detail="no answer in time")
        return entry.said

    def outcome_of(self, client_id: int, attempt: int) -> Literal["paid", "failed"]:
        """Return what an operator finds in the books, as they stand."""
        took = any(
            entry.took
            for entry in self.ledger
            if (entry.client_id, entry.attempt) == (client_id, attempt)
        )
        return "paid" if took else "failed"

    def note_end(self, process: Process) -> None:
        """Know that a worker has ended before it could report all that it was told."""
        for entry in self.ledger:
            if entry.by is process:
                entry.cut = True

    def _arrive(self, entry: Entry, mood: Mood, answer: asyncio.Future[Verdict]) -> None:
        entry.arrived = True
        self._wire.call_later(self._dice.choice(_THOUGHT_S), self._decide, entry, mood, answer)

    def _decide(self, entry: Entry, mood: Mood, answer: asyncio.Future[Verdict]) -> None:
        entry.took = mood in {"pays", "pays and is silent"}
        if mood == "pays":
            verdict = Verdict(
                outcome="paid", detail="answered 200", reference=f"charge {entry.client_id}"
            )
        elif mood == "declines":
            verdict = Verdict(outcome="failed", detail="answered 402")
        elif self._dice.random() < 1 / 2:
            verdict = Verdict(outcome="unknown", detail="the connection broke")
        else:
            return
        self._wire.call_later(self._dice.choice(_WAY_S), _tell, answer, verdict)

    def _is_begun(self, charge: Charge) -> bool:
        name = f'"client_id":{charge.client_id},'
        rows = (
            self._database.rows[actor_id].get(charge.attempt)
            for actor_id, kind in self._database.kinds.items()
            if kind == "cart"
        )
        return any(row is not None and name in row.body for row in rows)


def _tell(answer: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not answer.done():
        answer.set_result(verdict)
