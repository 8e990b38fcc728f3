"""The answering end: bounded, private, and never brought down by one bad peer."""

import asyncio
import socket
import stat
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from allocator.errors import UnavailableError
from allocator.peers.door import Respond
from allocator.peers.errors import (
    DoorError,
    PeerLostError,
    PeerRefusedError,
    PeerUnreachableError,
)
from allocator.peers.frames import (
    FAREWELL,
    FRAME_MAX,
    FRAME_MESSAGES_MAX,
    HELLO,
    MESSAGE_MAX,
    MESSAGES,
    Hello,
    Outbox,
    decode_messages,
    hello_frame,
)
from tests.integration.peers_support import (
    CALLER,
    TOLD,
    Ask,
    Pile,
    Room,
    Told,
    answered,
    echo,
    eventually,
    is_answered,
    on_both_loops,
    outcomes,
    soon,
)


def asking(*numbers: int, text: str = "") -> bytes:
    """The bytes of these calls, made in one tick."""
    outbox = Outbox()
    for number in numbers:
        outbox.add(number, Ask(number, text))
    outbox.seal()
    return b"".join(frame for _, frame in outbox.frames)


@on_both_loops
async def test_a_request_that_breaks_the_handler_is_refused_and_no_other(room: Room) -> None:
    def handle(ask: Ask, respond: Respond[Told]) -> None:
        if ask.text == "bug":
            raise ZeroDivisionError
        if ask.text == "busy":
            raise UnavailableError(reason="too busy")
        echo(ask, respond)
        if ask.text == "bug after the answer":
            raise ZeroDivisionError

    await room.door(handle)
    link = room.link()
    texts = ("", "bug", "busy", "bug after the answer", "")
    told = await outcomes([link.call(Ask(0, text)) for text in texts])

    assert [type(each) for each in told] == [Told, PeerRefusedError, PeerRefusedError, Told, Told]
    assert "worker answerer refused the request: ZeroDivisionError" in str(told[1])
    assert "too busy; nothing was done" in str(told[2])
    assert room.events == ["peers.request_failed"] * 2


@on_both_loops
async def test_an_answer_that_is_too_large_is_refused_and_no_other(room: Room) -> None:
    def handle(ask: Ask, respond: Respond[Told]) -> None:
        respond(Told(ask.number, "x" * ask.number))

    await room.door(handle)
    link = room.link()
    told = await outcomes([link.call(Ask(size)) for size in (1, MESSAGE_MAX, 1)])

    assert [type(each) for each in told] == [Told, PeerRefusedError, Told]
    assert "a message of" in str(told[1])


@on_both_loops
async def test_an_answer_that_cannot_be_encoded_is_an_error_where_it_is_given(room: Room) -> None:
    pile, link = Pile(), room.link()
    await room.door(pile.take)
    answer = link.call(Ask(1))
    await eventually(lambda: len(pile) == 1)
    [(_, respond)] = pile.asked
    with pytest.raises(TypeError):
        respond(Told(1, object()))  # type: ignore[arg-type]
    respond(Told(1, "then this"))

    assert await soon(answer) == Told(1, "then this")


@on_both_loops
async def test_only_the_first_answer_is_sent(room: Room) -> None:
    pile = Pile()
    await room.door(pile.take)
    wire = await room.stranger()
    await wire.greet()
    await wire.write(asking(1, 2))
    await eventually(lambda: len(pile) == 2)
    for _, respond in pile.asked:
        respond(Told(0, "first"))
        respond(Told(0, "second"))
    frame = await soon(wire.frame())

    assert frame is not None
    assert decode_messages(memoryview(frame[1]), TOLD)[0] == [
        (1, Told(0, "first")),
        (2, Told(0, "first")),
    ]


@on_both_loops
async def test_an_answer_to_a_connection_that_has_gone_is_not_even_encoded(room: Room) -> None:
    pile = Pile()
    door = await room.door(pile.take)
    link = room.link()
    lost = link.call(Ask(1))
    await eventually(lambda: len(pile) == 1)
    await link.close()
    await eventually(lambda: door.outstanding == 0)
    [(_, respond)] = pile.asked
    respond(Told(1, object()))  # type: ignore[arg-type]

    assert [type(each) for each in await outcomes([lost])] == [PeerLostError]


@on_both_loops
async def test_answers_of_one_tick_travel_in_one_frame(room: Room) -> None:
    await room.door()
    wire = await room.stranger()
    await wire.greet()
    await wire.write(asking(*range(1, 101)))
    frame = await soon(wire.frame())

    assert frame is not None
    assert len(decode_messages(memoryview(frame[1]), TOLD)[0]) == 100


@on_both_loops
async def test_half_a_frame_is_no_request(room: Room) -> None:
    pile = Pile()
    door = await room.door(pile.take)
    wire = await room.stranger()
    await wire.greet()
    await wire.write(asking(1) + asking(2)[:-1])
    await eventually(lambda: len(pile) == 1)
    await wire.close()
    await eventually(lambda: door.outstanding == 0)

    assert len(pile) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        (FRAME_MAX + 1).to_bytes(4) + b"\x01",
        b"\x00\x00\x00\x01\x09\x90",
        b"\x00\x00\x00\x02\x01\xa1x",
        hello_frame(CALLER),
    ],
    ids=["http", "too large", "kind unknown", "no messages", "another hello"],
)
@pytest.mark.parametrize("greeted", [True, False])
def test_garbage_ends_its_connection_and_no_other(garbage: bytes, *, greeted: bool) -> None:
    @on_both_loops
    async def scenario(room: Room) -> None:
        await room.door()
        link = room.link()
        await answered(link)
        wire = await room.stranger()
        if greeted:
            await wire.greet()
        await wire.write(garbage if greeted else garbage.replace(hello_frame(CALLER), asking(1)))
        with suppress(ConnectionError):
            assert await soon(wire.frame()) is None
        await answered(link)

        assert room.events == ["peers.bad_frame"]
        assert room.lost == []

    for loop in ("asyncio", "uvloop"):
        scenario(loop)


@on_both_loops
async def test_a_hello_of_another_version_is_answered_with_a_reason(room: Room) -> None:
    await room.door()
    wire = await room.stranger()
    await wire.write(hello_frame(Hello(oldest=7, newest=8, name="later", build="x")))
    frame = await soon(wire.frame())

    assert frame is not None
    assert frame[0] == HELLO
    hello = msgspec.msgpack.decode(frame[1], type=Hello)
    assert hello.versions == (1, 1)
    assert hello.refusal == "no common protocol version with later"
    assert await soon(wire.frame()) is None


@on_both_loops
async def test_no_more_is_read_from_a_peer_that_is_owed_too_much(room: Room) -> None:
    pile = Pile()
    door = await room.door(pile.take, outstanding_max=10)
    link, other = room.link(), room.link()
    answers = [link.call(Ask(number, "x" * 100)) for number in range(15_000)]
    most = 0
    while any(not answer.done() for answer in answers):
        await eventually(lambda: len(pile) >= 10 or all(answer.done() for answer in answers))
        most = max(most, door.outstanding)
        pile.answer()
        await asyncio.sleep(0)

    assert most <= 10 + FRAME_MESSAGES_MAX
    assert [answer.result().number for answer in answers] == list(range(15_000))

    waiting = other.call(Ask(1))
    await eventually(lambda: len(pile) == 1)
    pile.answer()

    assert await soon(waiting) == Told(1)


@on_both_loops
async def test_no_more_is_read_from_a_peer_that_does_not_read_its_answers(room: Room) -> None:
    handled = 0

    def handle(ask: Ask, respond: Respond[Told]) -> None:
        nonlocal handled
        handled += ask.text != "back"
        echo(ask, respond)

    await room.door(handle)
    wire, neighbour = await room.stranger(), room.link()
    await wire.greet()
    calls = b"".join(asking(number, text="x" * 10_000) for number in range(1, 5001))
    writing = asyncio.ensure_future(wire.write(calls))
    before = -1
    while before != handled:  # until it stands still, while others are served
        before = handled
        for _ in range(100):
            await answered(neighbour)

    assert 0 < handled < 2500
    assert not writing.done()

    read = 0
    while read < 5000:
        frame = await soon(wire.frame())
        assert frame is not None
        read += len(decode_messages(memoryview(frame[1]), TOLD)[0])
    await writing

    assert handled == 5000


@on_both_loops
async def test_a_door_that_closes_says_what_it_did_not_take(room: Room) -> None:
    """A rolling restart loses nothing: what was taken is answered, the rest goes elsewhere."""
    pile = Pile()
    door = await room.door(pile.take)
    link = room.link()
    taken = [link.call(Ask(number)) for number in range(5)]
    await eventually(lambda: len(pile) == 5)
    closing = asyncio.ensure_future(door.close(drain_s=30))
    await asyncio.sleep(0)
    too_late = [link.call(Ask(number)) for number in range(5, 10)]

    assert {type(each) for each in await outcomes(too_late)} == {PeerUnreachableError}
    assert not closing.done()

    pile.answer()

    assert await outcomes(taken) == [Told(number) for number in range(5)]
    await soon(closing)
    assert room.lost == []
    assert not room.path.exists()


@on_both_loops
async def test_a_door_that_closes_while_it_is_owed_too_much_took_only_what_it_handled(
    room: Room,
) -> None:
    pile = Pile()
    door = await room.door(pile.take, outstanding_max=10)
    link = room.link()
    answers = [link.call(Ask(number, "x" * 1000)) for number in range(3 * FRAME_MESSAGES_MAX)]
    await eventually(lambda: len(pile) >= 10)
    taken = len(pile)
    closing = asyncio.ensure_future(door.close(drain_s=30))

    assert {type(each) for each in await outcomes(answers[taken:])} == {PeerUnreachableError}

    pile.answer()

    assert await outcomes(answers[:taken]) == [Told(n, "x" * 1000) for n in range(taken)]
    await soon(closing)
    assert len(pile) == 0


@on_both_loops
async def test_a_door_that_closes_flushes_what_was_answered_and_loses_the_rest(room: Room) -> None:
    pile = Pile()
    door = await room.door(pile.take)
    link = room.link()
    answers = [link.call(Ask(number, "x" * 100_000)) for number in range(40)]
    await eventually(lambda: len(pile) == 40)
    open_until_the_end = pile.asked.pop()
    pile.answer()
    await soon(door.close())
    told = await outcomes(answers)

    assert [type(each) for each in told] == [Told] * 39 + [PeerLostError]
    open_until_the_end[1](Told(39))


@on_both_loops
async def test_a_peer_that_does_not_read_cannot_keep_a_door_open(room: Room) -> None:
    door = await room.door()
    wire = await room.stranger()
    await wire.greet()
    writing = asyncio.ensure_future(
        wire.write(b"".join(asking(n, text="x" * 10_000) for n in range(1000)))
    )
    await asyncio.sleep(0)
    await soon(door.close(drain_s=0.05))
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)

    assert not room.path.exists()


@on_both_loops
async def test_a_farewell_is_the_last_that_a_quiet_peer_hears(room: Room) -> None:
    door = await room.door()
    wire = await room.stranger()
    await wire.greet()
    await wire.write(asking(1))
    frame = await soon(wire.frame())
    closing = asyncio.ensure_future(door.close())
    farewell = await soon(wire.frame())
    await wire.close()
    await soon(closing)

    assert frame is not None
    assert farewell is not None
    assert (frame[0], farewell[0]) == (MESSAGES, FAREWELL)
    assert msgspec.msgpack.decode(farewell[1]) == 1


@on_both_loops
async def test_the_socket_is_private_and_gone_with_the_door(room: Room) -> None:
    door = await room.door()
    mode = room.path.stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600

    await door.close()

    assert not room.path.exists()


@on_both_loops
async def test_a_door_does_not_remove_the_socket_of_its_successor(room: Room) -> None:
    door = await room.door()
    room.path.unlink()
    await room.door()
    await door.close()

    assert await is_answered(room.link())


@on_both_loops
async def test_the_socket_of_the_dead_is_replaced(room: Room) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(room.path))
        dead.listen()
    await room.door()

    assert await is_answered(room.link())


@on_both_loops
async def test_the_socket_of_the_living_is_not_replaced(room: Room) -> None:
    await room.door()
    with pytest.raises(DoorError, match="another process listens at"):
        await room.door()

    assert await is_answered(room.link())


@on_both_loops
async def test_a_file_in_the_way_is_left_alone(room: Room) -> None:
    room.path.write_text("precious", "utf-8")
    with pytest.raises(DoorError, match="is in the way: it is no socket"):
        await room.door()

    assert room.path.read_text("utf-8") == "precious"


@on_both_loops
async def test_a_path_that_is_too_long_is_refused_with_its_limit(room: Room) -> None:
    room.path = Path("/tmp") / ("x" * 103)
    with pytest.raises(DoorError, match="has 108 bytes, and this system allows 107"):
        await room.door()


@on_both_loops
async def test_a_missing_directory_is_refused(room: Room) -> None:
    room.path = room.path / "deeper" / "door"
    with pytest.raises(DoorError, match="No such file or directory"):
        await room.door()
