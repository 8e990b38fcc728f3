"""The journal in memory and the one in PostgreSQL give the same answers to the same calls.

So what the simulator proves over the one is proved over something that does as the other. Every
sequence is decided by its number; `FIDELITY_SEQUENCES` says how many are tried, and
`FIDELITY_FIRST` with which number they begin.
"""

import asyncio
import os
from collections.abc import Iterator
from pprint import pformat
from typing import Final

import pytest
from structlog.testing import capture_logs

from allocator.persistence import ownership
from tests.integration.fidelity_author import sequence_of
from tests.integration.fidelity_memory import MemorySide
from tests.integration.fidelity_player import Outcome, Player
from tests.integration.fidelity_postgres import PostgresSide, in_postgres
from tests.integration.fidelity_steps import (
    ACTORS,
    Age,
    Blocked,
    Claim,
    Confirm,
    Renew,
    Row,
    Sequence,
    Simple,
)
from tests.virtual_time import run

SEQUENCES: Final = int(os.environ.get("FIDELITY_SEQUENCES", "120"))
FIRST: Final = int(os.environ.get("FIDELITY_FIRST", "1"))


_ROW: Final = Row(ACTORS[0], 1)

NAMED: Final = {
    "while a renewal is under way, nothing is said against it": Sequence(
        ("ours", "ours"),
        (
            *(Renew(0), Renew(1), Claim(0)),
            Blocked("share", 0, _ROW, (Renew(0), Simple(0, "beat")), commits=True),
            Blocked("share", 0, _ROW, (Renew(0), Simple(0, "survey")), commits=True),
            Blocked("share", 0, _ROW, (Claim(1, dead=(0,)), Simple(0, "beat")), commits=True),
            Simple(0, "beat"),
        ),
    ),
    "whoever is fenced already does not wait to be fenced again": Sequence(
        ("ours", "ours"),
        (
            *(Renew(0), Renew(1), Claim(1, dead=(0,))),
            Blocked("fence", 0, _ROW, (Confirm(0), Renew(0)), commits=True),
        ),
    ),
    "an incarnation that is locked is not forgotten": Sequence(
        ("ours", "ours"),
        (
            *(Renew(0), Renew(1), Simple(1, "resign"), Age()),
            Blocked("share", 1, _ROW, (Claim(0), Simple(0, "survey")), commits=False),
        ),
    ),
}
"""What no random sequence tries, or one once found, cut short; by the law that it is about."""


class Pair:
    """Both journals."""

    def __init__(self, runner: asyncio.Runner, side: PostgresSide) -> None:
        self._runner = runner
        self._side = side

    def difference(self, sequence: Sequence) -> str | None:
        """Play a sequence on both, and say where they first disagree."""
        with capture_logs():
            in_memory = run(Player(MemorySide(), sequence).play())
            in_postgres = self._runner.run(self._play(sequence))
        for number, pair in enumerate(zip(in_memory, in_postgres, strict=True)):
            if pair[0] != pair[1]:
                step = sequence.steps[number] if number < len(sequence.steps) else "what is stored"
                return f"step {number}, {step}\nin memory: {pair[0]}\nPostgreSQL: {pair[1]}"
        return None

    async def _play(self, sequence: Sequence) -> list[Outcome]:
        await self._side.reset()
        return await Player(self._side, sequence).play()


@pytest.fixture
def pair(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    def be_patient(seconds: float) -> None:
        monkeypatch.setattr(ownership, "_PATIENCE_S", seconds)

    with asyncio.Runner() as runner:
        opening = in_postgres(database_url, be_patient=be_patient)
        yield Pair(runner, runner.run(opening.__aenter__()))
        runner.run(opening.__aexit__(None, None, None))


@pytest.mark.timeout(60 + SEQUENCES)
def test_sequences_of_calls_come_to_the_same_on_both(pair: Pair) -> None:
    for seed in range(FIRST, FIRST + SEQUENCES):
        sequence = sequence_of(seed)
        difference = pair.difference(sequence)

        assert difference is None, f"seed {seed}: {difference}\n{pformat(sequence)}"


@pytest.mark.parametrize("law", NAMED)
def test_this_law_holds_of_both(pair: Pair, law: str) -> None:
    assert pair.difference(NAMED[law]) is None
