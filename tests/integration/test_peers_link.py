"""The calling end: each call has its own answer, or an error that says what was done."""

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

from allocator.peers.errors import (
    PeerLostError,
    PeerOverloadedError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
    PeerVersionError,
    TooLargeError,
)
from allocator.peers.frames import (
    FRAME_MAX,
    FRAME_MESSAGES_MAX,
    MESSAGE_MAX,
    Hello,
    Outbox,
    decode_messages,
    farewell_frame,
    hello_frame,
)
from tests.integration.peers_support import (
    ANSWERER,
    ASKS,
    Ask,
    Pile,
    Room,
    Told,
    Wire,
    answered,
    eventually,
    is_answered,
    on_asyncio,
    on_both_loops,
    outcomes,
    soon,
)

FUTURE = Hello(oldest=2, newest=3, name="from-the-future", build="2.0")


def answering(*messages: tuple[int, object]) -> bytes:
    """The bytes of these answers."""
    outbox = Outbox()
    for number, message in messages:
        outbox.add(number, message)
    outbox.seal()
    return b"".join(frame for _, frame in outbox.frames)


def greeting(then: Callable[[Wire], Awaitable[None]]) -> Callable[[Wire], Awaitable[None]]:
    """A door by hand: hellos, one frame of calls, and then something."""

    async def serve(wire: Wire) -> None:
        await wire.frame()
        await wire.write(hello_frame(ANSWERER))
        await wire.frame()
        await then(wire)

    return serve


@on_both_loops
async def test_thousands_of_calls_are_answered_out_of_order_and_each_gets_its_own(
    room: Room,
) -> None:
    pile, link = Pile(), room.link()
    await room.door(pile.take)
    answers = [link.call(Ask(number, f"text {number}")) for number in range(5000)]
    await eventually(lambda: len(pile) == 5000)
    random.Random(7).shuffle(pile.asked)
    pile.answer()

    assert await outcomes(answers) == [Told(number, f"text {number}") for number in range(5000)]
    assert link.in_flight == 0


@on_both_loops
async def test_requests_arrive_in_the_order_in_which_they_were_made(room: Room) -> None:
    pile, link = Pile(), room.link()
    await room.door(pile.take)
    answers = []
    for number in range(3000):
        answers.append(link.call(Ask(number)))
        if number % 7 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: len(pile) == 3000)

    assert [ask.number for ask, _ in pile.asked] == list(range(3000))

    pile.answer()
    await outcomes(answers)


@on_both_loops
async def test_what_is_called_in_one_tick_travels_in_one_frame(room: Room) -> None:
    frames: list[int] = []

    async def serve(wire: Wire) -> None:
        await wire.frame()
        await wire.write(hello_frame(ANSWERER))
        while (frame := await wire.frame()) is not None:
            asked, _ = decode_messages(memoryview(frame[1]), ASKS)
            frames.append(len(asked))
            await wire.write(answering(*((number, Told(ask.number)) for number, ask in asked)))

    await room.listen(serve)
    link = room.link()
    await soon(link.call(Ask(0)))
    for crowd in (1, 50, FRAME_MESSAGES_MAX + 1):
        await outcomes([link.call(Ask(number)) for number in range(crowd)])

    assert frames == [1, 1, 50, FRAME_MESSAGES_MAX, 1]


@on_both_loops
async def test_one_call_too_many_is_refused_at_once_and_not_sent(room: Room) -> None:
    pile, link = Pile(), room.link(in_flight_max=10)
    await room.door(pile.take)
    answers = [link.call(Ask(number)) for number in range(10)]
    with pytest.raises(PeerOverloadedError, match="10 messages of this line to worker somebody"):
        await link.call(Ask(10))
    await eventually(lambda: len(pile) == 10)
    pile.answer()
    await outcomes(answers)
    last = link.call(Ask(11))
    await eventually(lambda: len(pile) == 1)
    pile.answer()

    assert await soon(last) == Told(11)


@on_both_loops
async def test_a_call_without_an_answer_times_out_and_the_others_do_not(room: Room) -> None:
    pile = Pile()

    def handle(ask: Ask, respond: Callable[[Told], None]) -> None:
        pile.take(ask, respond)
        if ask.number % 2:
            respond(Told(ask.number))

    await room.door(handle)
    link = room.link(timeout_s=0.2)
    told = await outcomes([link.call(Ask(number)) for number in range(20)])

    assert [type(each) for each in told] == [PeerTimeoutError, Told] * 10
    assert "answerer did not answer within 0.2 s" in str(told[0])

    pile.answer()  # too late, and to the odd ones a second time

    assert await soon(link.call(Ask(1))) == Told(1)


@on_both_loops
async def test_a_cancelled_call_is_forgotten(room: Room) -> None:
    pile, link = Pile(), room.link()
    await room.door(pile.take)
    gone, stays = link.call(Ask(1)), link.call(Ask(2))
    gone.cancel()
    await eventually(lambda: len(pile) == 2)
    pile.answer()

    assert await soon(stays) == Told(2)
    assert link.in_flight == 0


@on_both_loops
async def test_cancelled_calls_do_not_mind_a_lost_connection(room: Room) -> None:
    async def hang_up(_wire: Wire) -> None:
        return

    await room.listen(greeting(hang_up))
    link = room.link()
    gone, stays = link.call(Ask(1)), link.call(Ask(2))
    gone.cancel()
    with pytest.raises(PeerLostError):
        await soon(stays)

    assert link.in_flight == 0


@on_both_loops
async def test_a_message_that_is_too_large_is_refused_and_the_line_goes_on(room: Room) -> None:
    await room.door()
    link = room.link()
    before = link.call(Ask(1))
    with pytest.raises(TooLargeError, match="a message of"):
        await link.call(Ask(2, "x" * MESSAGE_MAX))
    large = link.call(Ask(3, "x" * (MESSAGE_MAX - 100)))

    assert [type(each) for each in await outcomes([before, large])] == [Told, Told]


@on_both_loops
async def test_nobody_listens_so_all_who_wait_may_ask_somebody_else(room: Room) -> None:
    link = room.link()
    waiting = [link.call(Ask(number)) for number in range(10)]

    assert {type(each) for each in await outcomes(waiting)} == {PeerUnreachableError}
    assert link.is_barred
    assert link.in_flight == 0
    assert room.lost == []


@on_both_loops
async def test_a_peer_that_says_no_hello_is_unreachable(room: Room) -> None:
    async def stare(wire: Wire) -> None:
        while await wire.frame() is not None:
            pass

    await room.listen(stare)
    link = room.link(connect_s=0.05)
    with pytest.raises(PeerUnreachableError, match=r"no hello within 0\.05 s"):
        await soon(link.call(Ask(1)))


@on_asyncio
async def test_a_hello_in_the_moment_of_its_time_out_is_not_too_late(room: Room) -> None:
    """What is sent on the strength of it must not be reported as never sent."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(room.path))
        listening.listen()
        listening.settimeout(0)
        link = room.link(connect_s=0.5)
        answer = link.call(Ask(1))
        accepted, _ = await loop.sock_accept(listening)
        with accepted:
            await loop.sock_recv(accepted, 1000)
            accepted.send(hello_frame(ANSWERER))
            time.sleep(0.7)  # noqa: ASYNC251 (now the loop finds both, and the hello first)
            await loop.sock_recv(accepted, 1000)
            accepted.send(answering((1, Told(1))))

            assert await soon(answer) == Told(1)

            await link.close()


@on_both_loops
async def test_a_door_of_another_version_refuses_and_both_versions_are_named(room: Room) -> None:
    await room.door()
    link = room.link(hello=FUTURE)
    told = await outcomes([link.call(Ask(number)) for number in range(3)])

    assert [type(each) for each in told] == [PeerVersionError] * 3
    assert "worker answerer cannot be reached" in str(told[0])
    assert "it speaks protocol 1 (build test), and we speak 2 to 3" in str(told[0])
    assert "peers.refused" in room.events
    assert room.lost == []


@on_both_loops
async def test_a_link_refuses_a_door_that_did_not_notice_the_version(room: Room) -> None:
    heard: list[object] = []

    async def serve(wire: Wire) -> None:
        await wire.frame()
        await wire.write(hello_frame(FUTURE))
        heard.append(await wire.frame())

    await room.listen(serve)
    link = room.link()
    with pytest.raises(PeerVersionError) as raised:
        await soon(link.call(Ask(1)))
    await eventually(lambda: heard == [None])

    assert (raised.value.ours, raised.value.theirs) == ((1, 1), (2, 3))


@on_both_loops
async def test_nothing_is_sent_before_both_know_that_they_understand_each_other(
    room: Room,
) -> None:
    connected, called = asyncio.Event(), asyncio.Event()
    heard: list[object] = []

    async def serve(wire: Wire) -> None:
        await wire.frame()
        connected.set()
        await called.wait()
        await wire.write(hello_frame(FUTURE))
        heard.append(await wire.frame())

    await room.listen(serve)
    link = room.link()
    waiting = [link.call(Ask(1))]
    await soon(connected.wait())
    waiting.append(link.call(Ask(2)))
    for _ in range(10):
        await asyncio.sleep(0)
    called.set()

    assert [type(each) for each in await outcomes(waiting)] == [PeerVersionError] * 2
    await eventually(lambda: heard == [None])


@on_both_loops
async def test_what_did_not_fit_is_sent_as_soon_as_the_peer_reads_on(room: Room) -> None:
    reading = asyncio.Event()

    async def serve(wire: Wire) -> None:
        await wire.frame()
        await wire.write(hello_frame(ANSWERER))
        await reading.wait()
        while (frame := await wire.frame()) is not None:
            asked, _ = decode_messages(memoryview(frame[1]), ASKS)
            await wire.write(answering(*((number, Told(ask.number)) for number, ask in asked)))

    await room.listen(serve)
    link = room.link()
    answers = []
    for number in range(200):
        answers.append(link.call(Ask(number, "x" * 20_000)))
        await asyncio.sleep(0)
    reading.set()

    assert await outcomes(answers) == [Told(number) for number in range(200)]


@on_both_loops
async def test_a_link_hangs_up_when_a_peer_that_leaves_owes_it_nothing(room: Room) -> None:
    heard: list[object] = []

    async def leave(wire: Wire) -> None:
        await wire.write(farewell_frame(1))
        await wire.write(answering((1, Told(1))))
        heard.append(await wire.frame())

    await room.listen(greeting(leave))
    link = room.link()

    assert await soon(link.call(Ask(1))) == Told(1)
    await eventually(lambda: heard == [None])
    assert room.lost == []


@on_both_loops
async def test_versions_that_overlap_understand_each_other(room: Room) -> None:
    await room.door(hello=Hello(oldest=1, newest=2, name="answerer", build="1.1"))

    assert await soon(room.link().call(Ask(1))) == Told(1)


@on_both_loops
async def test_half_an_answer_is_none(room: Room) -> None:
    async def half(wire: Wire) -> None:
        written = answering((1, Told(1)))
        await wire.write(written[:-1])

    await room.listen(greeting(half))
    link = room.link()
    with pytest.raises(PeerLostError, match="worker answerer was lost"):
        await soon(link.call(Ask(1)))

    assert room.lost == ["answerer"]


@pytest.mark.parametrize(
    "garbage",
    [
        (FRAME_MAX + 1).to_bytes(4) + b"\x01",
        b"\x00\x00\x00\x01\x09\x90",
        b"\x00\x00\x00\x01\x01\x90\x00",
        b"\x00\x00\x00\x02\x01\xa1x",
        hello_frame(ANSWERER),
    ],
    ids=["too large", "kind unknown", "then half a frame", "no messages", "another hello"],
)
def test_garbage_ends_the_connection(garbage: bytes) -> None:
    @on_both_loops
    async def scenario(room: Room) -> None:
        async def babble(wire: Wire) -> None:
            await wire.write(garbage)
            if not garbage.endswith(b"\x90\x00"):
                assert await wire.frame() is None

        await room.listen(greeting(babble))
        link = room.link()
        with pytest.raises(PeerLostError):
            await soon(link.call(Ask(1)))

        assert room.lost == ["answerer"]

    for loop in ("asyncio", "uvloop"):
        scenario(loop)


@on_both_loops
async def test_an_answer_that_cannot_be_read_spoils_no_other(room: Room) -> None:
    async def answer(wire: Wire) -> None:
        await wire.write(answering((1, Told(1)), (2, "nonsense"), (3, Told(3))))
        await wire.frame()

    await room.listen(greeting(answer))
    link = room.link()
    told = await outcomes([link.call(Ask(number)) for number in (1, 2, 3)])

    assert [type(each) for each in told] == [Told, PeerLostError, Told]
    assert "its answer cannot be read" in str(told[1])


@on_both_loops
async def test_a_request_that_the_peer_cannot_read_spoils_no_other(room: Room) -> None:
    await room.door()
    link = room.link()
    told = await outcomes([link.call(each) for each in (Ask(1), "nonsense", Ask(3))])

    assert [type(each) for each in told] == [Told, PeerRefusedError, Told]
    assert "Expected `array`, got `str`" in str(told[1])


@on_both_loops
async def test_a_link_comes_back_when_the_door_does(room: Room) -> None:
    door, link = await room.door(), room.link()
    for _ in range(3):
        await answered(link)
        assert not link.is_barred
        await door.close()

        assert not await is_answered(link)

        door = await room.door()


@on_both_loops
async def test_a_closed_link_gives_up_what_has_no_answer_and_calls_no_more(room: Room) -> None:
    pile, link = Pile(), room.link()
    door = await room.door(pile.take)
    sent = link.call(Ask(1))
    await eventually(lambda: len(pile) == 1)
    unsent = link.call(Ask(2))
    await link.close()

    assert [type(each) for each in await outcomes([sent, unsent])] == [
        PeerLostError,
        PeerUnreachableError,
    ]
    assert room.lost == []
    with pytest.raises(PeerUnreachableError):
        await link.call(Ask(3))
    await eventually(lambda: door.outstanding == 0)


@on_both_loops
async def test_a_link_can_be_closed_while_it_connects(room: Room) -> None:
    async def stare(wire: Wire) -> None:
        while await wire.frame() is not None:
            pass

    await room.listen(stare)
    link = room.link()
    waiting = link.call(Ask(1))
    for _ in range(3):
        await asyncio.sleep(0)
    await soon(link.close())

    assert [type(each) for each in await outcomes([waiting])] == [PeerUnreachableError]


def test_what_a_worker_refused_would_be_refused_again() -> None:
    assert not PeerRefusedError(peer="a", reason="b").retryable
    assert PeerLostError(peer="a", why="b").retryable
    assert PeerTimeoutError(peer="a", timeout_s=1).retryable
