"""Runs a plan from its first step to the judgement."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from random import Random
from typing import Final, TypeAlias

import structlog
from structlog.typing import WrappedLogger

from allocator.domain.queries import BalanceQuery, CartQuery
from allocator.simulation.clients import Clients
from allocator.simulation.feeders import put_of
from allocator.simulation.history import Evidence, Verdict
from allocator.simulation.installation import Installation
from allocator.simulation.knowledge import Knowledge
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.mutants import mutated
from allocator.simulation.oracle import judge
from allocator.simulation.plan import Plan
from allocator.simulation.process import current_process
from allocator.simulation.rest import Rest
from allocator.simulation.steps import Jump, Step, Wish
from allocator.simulation.troubles import Troubles
from allocator.simulation.wants import Feed, Lines, Look, Move

_START_S: Final = 20.0
_LOAD_S: Final = 150.0
_WHOLE_S: Final = 60.0
_STOP_S: Final = 30.0
"""Of virtual time: what each part of a run may take before it counts as hanging."""
_POLL_S: Final = 0.05
_QUIET_S: Final = 0.5
"""More than a message takes between workers whose connection has just broken."""
_REST_S: Final = 150.0
_REST_POLL_S: Final = 0.25
_HOUR_OFF_MS: Final = 60_000
_STOPPED_ONE_IN: Final = 4
_DIGEST_BYTES: Final = 8
_NEVER: Final = 1 << 62
"""Above every transaction."""

Note: TypeAlias = Callable[[str], None]
"""Told what happens, a line at a time."""


def simulate(plan: Plan, *, mutant: str | None = None, trace: Note | None = None) -> Verdict:
    """Run a plan and judge what came of it; the same plan gives the same verdict, always.

    Args:
        plan: What happens.
        mutant: The guard to switch off, by its name in `mutants`.
        trace: Told what happens.
    """
    with mutated(mutant) if mutant else nullcontext():
        return _Run(plan, trace).result()


class _Run:
    def __init__(self, plan: Plan, note: Note | None) -> None:
        self._plan = plan
        self._loop = SimulationLoop(Random(f"schedule {plan.seed}"))
        self._dice = Random(f"chance {plan.seed}")
        self._people = self._loop.process("people")
        self._note = note
        self._installation = Installation(
            self._loop,
            dice=self._dice,
            books=Random(f"books {plan.seed}"),
            stock=Random(f"warehouse {plan.seed}"),
            tales=Random(f"tales {plan.seed}"),
            plan=plan,
        )
        self._clients = Clients(
            self._loop,
            send=self._installation.send,
            dice=self._dice,
            known=Knowledge(
                self._people.now_ms,
                self._installation.provider.outcome_of,
                None if plan.terms is None else put_of(plan.terms),
            ),
            note=None if note is None else self._say,
        )
        self._rest = None if plan.terms is None else Rest(self._installation)
        self._hanging: list[str] = []

    def result(self) -> Verdict:
        """Run, judge, and leave nothing behind."""
        with _logs_to(None if self._note is None else self._say):
            try:
                self._loop.run_until_complete(self._people.spawn(self._live(), name="run"))
                return self._verdict()
            finally:
                self._loop.close()

    def _verdict(self) -> Verdict:
        return Verdict(
            seed=self._plan.seed,
            failures=tuple(judge(self._evidence())),
            operations=len(self._clients.operations),
            steps=self._loop.steps,
            virtual_s=self._loop.time(),
            digest=self._digest(),
        )

    async def _live(self) -> None:
        installation, plan = self._installation, self._plan
        troubles = Troubles(installation, dice=self._dice, note=self._say)
        installation.start()
        await self._expect(lambda: installation.whole, "the server never began", within_s=_START_S)
        began_s = self._loop.time()
        if self._rest is not None:
            self._watching = self._people.spawn(self._rest.watch(), name="watch the feed")
        living = [
            asyncio.create_task(self._clients.live(wishes), name=f"client {client}")
            for client, wishes in sorted(_by_client(plan.steps).items())
        ]
        await troubles.run([step for step in plan.steps if not isinstance(step, Wish)])
        await asyncio.sleep(max(0.0, began_s + plan.load_ms / 1000 - self._loop.time()))
        self._say("heal")
        troubles.heal()
        waiting = (await asyncio.wait(living, timeout=_LOAD_S))[1] if living else set()
        self._hanging += sorted(f"{task.get_name()} waits for ever" for task in waiting)
        for task in living:
            if task.done():
                task.result()
        await self._expect(lambda: installation.whole, "the server never recovered")
        await self._let_processes_end()
        await self._let_feed_rest()
        await self._look_at_all()
        if plan.seed % _STOPPED_ONE_IN == 0:
            await self._stop()

    async def _let_processes_end(self) -> None:
        """Wait for everything that was begun, and for what those who wait no more may yet begin."""
        installation, now_s = self._installation, self._loop.time
        until_s, quiet_s = now_s() + _WHOLE_S, now_s()
        while now_s() < quiet_s + _QUIET_S:
            if now_s() > until_s:
                self._hanging.append("a process never ended")
                return
            for cart in installation.changing():
                await self._clients.look(cart, CartQuery())
            await asyncio.sleep(_POLL_S)
            if installation.asked or installation.unfinished() or installation.changing():
                quiet_s = now_s()

    async def _let_feed_rest(self) -> None:
        """Wait until everything is told, done, said and heard, if there is a feed."""
        rest = self._rest
        if rest is None:
            return
        until_s = self._loop.time() + _REST_S
        while not rest.is_reached() and not rest.is_barred:
            if self._loop.time() > until_s:
                if not _is_an_hour_off(self._plan.steps):
                    self._hanging.append(f"the feed never rests: {rest.why_not}")
                return
            await asyncio.sleep(_REST_POLL_S)

    async def _look_at_all(self) -> None:
        """Read every pool in the end: whoever serves it has to answer now."""
        for pool in _pools_of(self._plan.steps):
            last = await self._clients.look(pool, BalanceQuery())
            if last.attempts[-1].answer is None:
                self._hanging.append(f"nobody answers for pool {pool:#x}")

    async def _stop(self) -> None:
        installation = self._installation
        installation.stop()
        await self._expect(
            lambda: installation.exit_code is not None, "the server never stopped", within_s=_STOP_S
        )
        if installation.exit_code:
            self._hanging.append(f"the server stopped with {installation.exit_code}")
        if owned := [s for s, owner in installation.database.shards.items() if owner is not None]:
            self._hanging.append(f"{len(owned)} shards have an owner after the end")

    async def _expect(
        self, holds: Callable[[], bool], otherwise: str, *, within_s: float = _WHOLE_S
    ) -> None:
        until_s = self._loop.time() + within_s
        while not holds():
            if self._loop.time() > until_s:
                self._hanging.append(otherwise)
                return
            await asyncio.sleep(_POLL_S)

    def _evidence(self) -> Evidence:
        database = self._installation.database
        return Evidence(
            operations=self._clients.operations,
            rows={actor_id: database.journal_of(actor_id) for actor_id in sorted(database.rows)},
            wakes=dict(database.wakes),
            kinds=dict(database.kinds),
            commits=database.tail(below=_NEVER),
            charges=self._installation.provider.ledger,
            fed=None if self._rest is None else self._rest.evidence(),
            hanging=self._hanging,
            violations=[*self._loop.errors, *self._installation.failures],
        )

    def _digest(self) -> str:
        """Return what two runs have in common only if they were the same in every step."""
        database, digest = self._installation.database, blake2b(digest_size=_DIGEST_BYTES)
        digest.update(f"{self._loop.steps} {self._loop.time()!r}".encode())
        for actor_id in sorted(database.rows):
            for record in database.journal_of(actor_id)[-1:]:
                digest.update(record.digest)
        for operation in self._clients.operations:
            for attempt in operation.attempts:
                digest.update(f"{attempt.worker} {attempt.answered_at} ".encode())
        return digest.hexdigest()

    def _say(self, what: str) -> None:
        if self._note is not None:
            self._note(f"{self._loop.time():9.4f} s  {what}")


def _pools_of(steps: Sequence[Step]) -> list[int]:
    pools: set[int] = set()
    for step in steps:
        if isinstance(step, Wish) and not _is_of_feed(step):
            pools.add(step.pool)
            if isinstance(step.want, Move):
                pools.add(step.want.to)
            elif isinstance(step.want, Lines):
                pools.update(portion.pool for portion in step.want.portions)
    return sorted(pools)


def _is_of_feed(wish: Wish) -> bool:
    want = wish.want
    return isinstance(want, Feed) or (isinstance(want, Look) and want.what == "feed")


def _is_an_hour_off(steps: Sequence[Step]) -> bool:
    """Say whether a clock jumped so far that nobody waits for what is due by it."""
    return any(isinstance(step, Jump) and abs(step.by_ms) > _HOUR_OFF_MS for step in steps)


def _by_client(steps: Sequence[Step]) -> dict[int, list[Wish]]:
    wishes: defaultdict[int, list[Wish]] = defaultdict(list)
    for step in steps:
        if isinstance(step, Wish):
            wishes[step.client].append(step)
    return wishes


@contextmanager
def _logs_to(say: Note | None) -> Iterator[None]:
    """Have what is logged said, if somebody listens; a run is not to write to the terminal."""
    former = structlog.get_config()
    level = "debug" if say else "critical"

    def tell(_: WrappedLogger, _name: str, event: MutableMapping[str, object]) -> str:
        if say is not None:
            facts = " ".join(f"{name}={value}" for name, value in event.items() if name != "event")
            say(f"[{current_process().name}] {event['event']} {facts}")
        raise structlog.DropEvent

    structlog.configure(
        processors=[tell],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**former)
