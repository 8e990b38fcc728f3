"""A peer that dies, stands still, or comes back: what its callers are told is true."""

import asyncio
from collections import Counter

import pytest

from allocator.peers.errors import PeerLostError, PeerTimeoutError, PeerUnreachableError
from tests.integration.peers_support import (
    Ask,
    AskLink,
    Room,
    Told,
    answered,
    eventually,
    on_both_loops,
    outcomes,
    soon,
)

HOLD = "hold" + "x" * 1000
"""Never answered, and large enough that a few hundred fill what the kernel keeps."""


async def flood(link: AskLink) -> list[asyncio.Future[Told]]:
    """Call, tick by tick, until far more is sent than a peer that stands still takes."""
    answers = []
    for number in range(2000):
        answers.append(link.call(Ask(number, HOLD)))
        if number % 10 == 9:
            await asyncio.sleep(0)
    return answers


@on_both_loops
async def test_what_a_killed_peer_may_have_read_is_unknown(room: Room) -> None:
    process, link = await room.process(), room.link()
    await soon(link.call(Ask(0)))
    held = [link.call(Ask(number, "hold")) for number in range(100)]
    assert await soon(link.call(Ask(0, "count"))) == Told(102)
    process.kill()

    assert {type(each) for each in await outcomes(held)} == {PeerLostError}
    assert room.lost == ["answerer"]
    assert "peers.lost" in room.events
    assert link.in_flight == 0


@on_both_loops
async def test_what_never_left_for_a_killed_peer_can_be_asked_of_another(room: Room) -> None:
    process, link = await room.process(), room.link()
    await soon(link.call(Ask(0)))
    process.pause()
    answers = await flood(link)
    process.kill()
    told = await outcomes(answers)
    kinds = [type(each) for each in told]

    assert set(kinds) == {PeerLostError, PeerUnreachableError}
    assert kinds == sorted(kinds, key=lambda kind: kind is PeerUnreachableError)


@on_both_loops
async def test_a_dead_peer_is_unreachable_until_another_takes_its_place(room: Room) -> None:
    process, link = await room.process(), room.link()
    await soon(link.call(Ask(0)))
    process.kill()
    await eventually(lambda: room.lost == ["answerer"])
    with pytest.raises(PeerUnreachableError):
        await soon(link.call(Ask(1)))
    assert room.path.exists()  # the socket file of the dead
    await room.process()

    await answered(link)

    assert room.lost == ["answerer"]


@on_both_loops
async def test_a_peer_that_stands_still_lets_calls_time_out_and_its_late_answers_are_dropped(
    room: Room,
) -> None:
    process, link = await room.process(), room.link(timeout_s=0.2)
    await soon(link.call(Ask(0)))
    process.pause()
    late = [link.call(Ask(number, "late")) for number in range(100)]

    assert {type(each) for each in await outcomes(late)} == {PeerTimeoutError}
    assert link.in_flight == 0

    process.resume()

    await answered(link)

    assert await soon(link.call(Ask(0, "count"))) == Told(103)
    assert room.lost == []


@on_both_loops
async def test_what_was_called_unsent_is_never_seen_by_a_peer_that_wakes(room: Room) -> None:
    process, link = await room.process(), room.link(timeout_s=0.5)
    await soon(link.call(Ask(0)))
    process.pause()
    answers = await flood(link)
    kinds = Counter(type(each) for each in await outcomes(answers))

    assert set(kinds) == {PeerTimeoutError, PeerUnreachableError}

    process.resume()
    await answered(link)

    assert await soon(link.call(Ask(0, "count"))) == Told(kinds[PeerTimeoutError] + 3)


@on_both_loops
async def test_a_peer_that_stands_still_cannot_be_connected_to(room: Room) -> None:
    process, link = await room.process(), room.link(connect_s=0.1)
    process.pause()
    waiting = [link.call(Ask(number)) for number in range(10)]

    assert {type(each) for each in await outcomes(waiting)} == {PeerUnreachableError}

    process.resume()

    await answered(link)

    assert await soon(link.call(Ask(0, "count"))) == Told(2)
