"""A repeat of any keyed command that succeeded changes nothing and answers the same."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.actors.keys import KeyedRequest
from allocator.actors.limits import Limits
from allocator.actors.messages import KeyReused, Outcome
from allocator.domain.messages import CancelOrder, Command, DispatchOrder
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.builders import ACTOR, keyed, place, receive
from tests.memory_journal import Fault
from tests.scene import Scene, serving, soon
from tests.virtual_time import now_ms, run

IDLE_S = 2
ACTORS = (ACTOR, ACTOR + 256)

COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(receive, st.integers(1, 5)),
    st.builds(place, st.integers(1, 3)),
    st.builds(DispatchOrder, order=st.integers(1, 8)),
    st.builds(CancelOrder, order=st.integers(1, 8)),
)
REQUESTS = st.builds(
    keyed,
    st.text("ab", min_size=1, max_size=3),
    COMMANDS,
    actor_id=st.sampled_from(ACTORS),
    principal=st.sampled_from(["", "ada"]),
)
BETWEEN = st.sampled_from(["nothing", "passivation", "outage", "crash"])
FAULTS = st.none() | st.sampled_from(Fault)


@given(
    requests=st.lists(st.tuples(REQUESTS, FAULTS), min_size=1, max_size=12),
    between=st.lists(BETWEEN, min_size=1, max_size=3),
)
@settings(max_examples=60)
def test_a_repeat_changes_nothing_and_answers_the_same(
    requests: list[tuple[KeyedRequest, Fault | None]], between: list[str]
) -> None:
    run(_ask_and_repeat(requests, between))


async def _ask_and_repeat(
    requests: list[tuple[KeyedRequest, Fault | None]], between: list[str]
) -> None:
    database = MemoryDatabase(clock=now_ms)
    first: dict[tuple[str, str], tuple[KeyedRequest, Outcome]] = {}
    async with serving(database, limits=Limits(idle_ms=1_000)) as scene:
        for request, fault in requests:
            answer = await _insist(scene, request, fault)
            if isinstance(answer, Outcome):
                known = first.setdefault((request.principal, request.key), (request, answer))
                assert known == (request, answer)
    for event in between:
        await asyncio.sleep(DEAD_AFTER_MS / 1000)
        async with serving(database, limits=Limits(idle_ms=1_000)) as scene:
            await _happen(scene, event)
            before = _rows(database)
            for request, _ in requests:
                used = first.get((request.principal, request.key))
                if used is not None:
                    expected = used[1] if request == used[0] else KeyReused(key=request.key)
                    assert await _insist(scene, request, None) == expected

            assert _rows(database) == before


async def _insist(scene: Scene, request: KeyedRequest, fault: Fault | None) -> object:
    """Ask until there is an answer, as a patient client does."""
    if fault is not None:
        scene.journal.break_next("append", fault)
    while True:
        [result] = await soon(asyncio.gather(scene.ask_once(request), return_exceptions=True))
        if not isinstance(result, Exception):
            return result
        await scene.serving_again()


async def _happen(scene: Scene, event: str) -> None:
    match event:
        case "passivation":
            for actor_id in ACTORS:
                await scene.balance(actor_id=actor_id)
            await asyncio.sleep(IDLE_S)
            assert len(scene.worker.directory) == 0
        case "outage":
            await scene.outage()
        case _:
            pass  # a crash comes between any two scenes


def _rows(database: MemoryDatabase) -> int:
    return sum(len(rows) for rows in database.rows.values())
