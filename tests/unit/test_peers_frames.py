"""The bytes between two processes: whatever pieces they come in, the messages are the same."""

import struct
from itertools import pairwise

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from allocator.peers.errors import BadFrameError, TooLargeError
from allocator.peers.frames import (
    FAREWELL,
    FRAME_MAX,
    FRAME_MESSAGES_MAX,
    HELLO,
    MESSAGE_MAX,
    MESSAGES,
    OLDEST_PROTOCOL,
    PROTOCOL,
    REFUSALS,
    Hello,
    Numbered,
    Outbox,
    Splitter,
    decode_farewell,
    decode_hello,
    decode_messages,
    farewell_frame,
    hello_frame,
    refusal_frame,
)

TEXTS = msgspec.msgpack.Decoder(Numbered[str])
HEADER = struct.Struct(">IB")

ticks = st.lists(st.lists(st.text(max_size=200), max_size=5), max_size=8)


def packed(ticks: list[list[str]]) -> tuple[bytes, Numbered[str]]:
    """What is written if these texts are sent in these ticks, and the messages."""
    outbox, sent = Outbox(), list[tuple[int, str]]()
    for texts in ticks:
        for text in texts:
            sent.append((len(sent) + 1, text))
            outbox.add(*sent[-1])
        outbox.seal()
    return b"".join(frame for _, frame in outbox.frames), sent


def chunked(written: bytes, cuts: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    edges = sorted({0, len(written), *(cut % (len(written) + 1) for cut in cuts)})
    return [written[begin:end] for begin, end in pairwise(edges)]


def split(chunks: list[bytes]) -> list[tuple[int, memoryview]]:
    """The frames of these pieces, kept until all have arrived."""
    splitter, frames = Splitter(), list[tuple[int, memoryview]]()
    for chunk in chunks:
        splitter.feed(chunk)
        while (frame := splitter.next_frame()) is not None:
            frames.append(frame)
    return frames


def whole(frame: bytes | bytearray) -> tuple[int, memoryview]:
    """Take a frame that arrives alone."""
    [found] = split([bytes(frame)])
    return found


@settings(deadline=None)
@given(ticks=ticks, cuts=st.lists(st.integers(min_value=0), max_size=30))
@example(ticks=[["a", "b"], ["c"]], cuts=list(range(60)))
def test_any_chunking_of_any_frames_gives_the_same_messages(
    ticks: list[list[str]], cuts: list[int]
) -> None:
    written, sent = packed(ticks)
    frames = split(chunked(written, cuts))

    assert {kind for kind, _ in frames} <= {MESSAGES}
    assert [pair for _, payload in frames for pair in decode_messages(payload, TEXTS)[0]] == sent
    assert len(frames) == sum(1 for texts in ticks if texts)


@settings(deadline=None)
@given(garbage=st.binary(max_size=300))
def test_garbage_is_an_error_of_ours_or_a_frame_that_is_not_there_yet(garbage: bytes) -> None:
    splitter = Splitter()
    splitter.feed(garbage)
    try:
        while (frame := splitter.next_frame()) is not None:
            decode_messages(frame[1], TEXTS)
    except (BadFrameError, TooLargeError):
        return

    assert splitter.next_frame() is None


def test_a_frame_that_arrives_whole_is_not_copied() -> None:
    chunk = packed([["a"], ["b"]])[0]
    frames = split([chunk])

    assert [payload.obj for _, payload in frames] == [chunk, chunk]
    assert all(payload.obj is chunk for _, payload in frames)


def test_nothing_comes_of_half_a_frame() -> None:
    written, _ = packed([["a"]])

    assert split([written[:-1]]) == []


def test_a_frame_announced_as_too_large_is_refused_before_it_arrives() -> None:
    splitter = Splitter(frame_max=100)
    splitter.feed(HEADER.pack(101, MESSAGES))
    with pytest.raises(
        TooLargeError, match="a frame of 101 bytes is larger than the 100"
    ) as raised:
        splitter.next_frame()

    assert (raised.value.what, raised.value.size, raised.value.limit) == ("frame", 101, 100)


def test_frames_before_one_that_is_too_large_are_still_taken() -> None:
    written, _ = packed([["a"]])
    splitter = Splitter(frame_max=100)
    splitter.feed(written + HEADER.pack(101, MESSAGES))

    assert splitter.next_frame() is not None
    with pytest.raises(TooLargeError):
        splitter.next_frame()


def test_a_message_that_is_too_large_is_refused_and_leaves_no_trace() -> None:
    outbox = Outbox()
    outbox.add(1, "before")
    with pytest.raises(TooLargeError, match="a message of") as raised:
        outbox.add(2, bytes(MESSAGE_MAX))
    outbox.add(3, "after")
    outbox.seal()
    [(_, frame)] = outbox.frames

    assert (raised.value.what, raised.value.limit) == ("message", MESSAGE_MAX)
    assert decode_messages(whole(frame)[1], TEXTS)[0] == [(1, "before"), (3, "after")]


def test_a_message_that_cannot_be_encoded_leaves_no_trace() -> None:
    outbox = Outbox()
    outbox.add(1, "before")
    with pytest.raises(TypeError):
        outbox.add(2, ["x" * 5000, object()])
    outbox.add(3, "after")
    outbox.seal()
    [(_, frame)] = outbox.frames

    assert decode_messages(whole(frame)[1], TEXTS)[0] == [(1, "before"), (3, "after")]


def test_no_frame_is_larger_than_a_reader_accepts_however_much_is_sent_in_a_tick() -> None:
    outbox, large = Outbox(), bytes(MESSAGE_MAX - 100)
    for number in range(1, 8):
        outbox.add(number, large)
        outbox.add(number + 100, b"small")
    outbox.seal()
    frames = split([bytes(frame) for _, frame in outbox.frames])

    assert max(len(payload) for _, payload in frames) <= FRAME_MAX
    assert sum(payload.nbytes > MESSAGE_MAX for _, payload in frames) > 1


def test_no_frame_has_more_messages_than_a_reader_accepts() -> None:
    written, sent = packed([["a"] * (FRAME_MESSAGES_MAX + 1)])
    sizes = [len(decode_messages(payload, TEXTS)[0]) for _, payload in split([written])]

    assert sizes == [FRAME_MESSAGES_MAX, 1]
    assert sum(sizes) == len(sent)


def test_a_frame_of_too_many_messages_is_refused() -> None:
    payload = msgspec.msgpack.encode([(1, "a")] * (FRAME_MESSAGES_MAX + 1))
    with pytest.raises(BadFrameError, match="more than 1024 messages"):
        decode_messages(memoryview(payload), TEXTS)


def test_an_empty_tick_writes_nothing() -> None:
    outbox = Outbox()
    outbox.seal()

    assert not outbox.frames


def test_one_bad_message_spoils_no_other_of_its_frame() -> None:
    payload = msgspec.msgpack.encode([(1, "a"), (2, 7), (3, "c"), (4, None)])
    readable, unreadable = decode_messages(memoryview(payload), TEXTS)

    assert readable == [(1, "a"), (3, "c")]
    assert [number for number, _ in unreadable] == [2, 4]
    assert "Expected `str`, got `int`" in unreadable[0][1]


@pytest.mark.parametrize(
    "payload", [b"", b"\x01", b"\x91\x01", b"\x91\x92\x01", b"\x91\x92\xa1a\x01"]
)
def test_what_is_no_array_of_numbered_messages_is_a_bad_frame(payload: bytes) -> None:
    with pytest.raises(BadFrameError):
        decode_messages(memoryview(payload), TEXTS)


def test_forgotten_frames_are_those_whose_messages_are_all_old_enough() -> None:
    outbox = Outbox()
    for numbers in ((1, 2), (3, 4), (5,)):
        for number in numbers:
            outbox.add(number, "a")
        outbox.seal()

    assert outbox.forget(1) == 0
    assert outbox.forget(3) == 2
    assert [last for last, _ in outbox.frames] == [4, 5]


def test_the_frame_that_was_begun_can_be_forgotten_and_what_follows_is_kept() -> None:
    outbox = Outbox()
    outbox.add(1, "old")

    assert outbox.forget(1) == 1

    outbox.add(2, "new")
    outbox.seal()
    [(last, frame)] = outbox.frames

    assert last == 2
    assert decode_messages(whole(frame)[1], TEXTS)[0] == [(2, "new")]


def test_other_frames_keep_their_place_among_the_messages() -> None:
    outbox = Outbox()
    outbox.add(1, "a")
    outbox.put(farewell_frame(1))
    outbox.add(2, "b")
    outbox.seal()
    frames = split([bytes(frame) for _, frame in outbox.frames])

    assert [kind for kind, _ in frames] == [MESSAGES, FAREWELL, MESSAGES]


def test_a_hello_arrives_as_it_was_said() -> None:
    hello = Hello(name="worker-1", build="abc", refusal="no")

    assert decode_hello(whole(hello_frame(hello))) == hello
    assert hello.versions == (OLDEST_PROTOCOL, PROTOCOL)


def test_a_hello_of_a_later_build_may_say_more() -> None:
    longer = msgspec.msgpack.encode(["allocator.peer", 1, 9, "worker-1", "abc", "", "more", 1])

    assert decode_hello((HELLO, memoryview(longer))).newest == 9


@pytest.mark.parametrize(
    "said", [["another.magic", 1, 1, "a", "b"], ["allocator.peer", 1], [1, 1], "GET / HTTP/1.1"]
)
def test_a_hello_that_is_none_is_a_bad_frame(said: object) -> None:
    with pytest.raises(BadFrameError):
        decode_hello((HELLO, memoryview(msgspec.msgpack.encode(said))))


def test_anything_else_before_a_hello_is_a_bad_frame() -> None:
    with pytest.raises(BadFrameError, match="before a hello"):
        decode_hello(whole(packed([["a"]])[0]))


@pytest.mark.parametrize(
    ("ours", "theirs", "agreed"),
    [
        ((1, 1), (1, 1), True),
        ((1, 2), (2, 3), True),
        ((1, 1), (2, 3), False),
        ((1, 9), (2, 3), True),
    ],
)
def test_both_sides_judge_alike_whether_they_understand_each_other(
    ours: tuple[int, int], theirs: tuple[int, int], *, agreed: bool
) -> None:
    one, other = (
        Hello(oldest=oldest, newest=newest, name="a", build="b")
        for oldest, newest in (ours, theirs)
    )

    assert (one.understands(other), other.understands(one)) == (agreed, agreed)


def test_a_refusal_names_its_call_and_is_not_longer_than_a_line_of_a_log() -> None:
    kind, payload = whole(refusal_frame(7, "x" * 5000))

    assert kind == REFUSALS
    assert decode_messages(payload, TEXTS)[0] == [(7, "x" * 1000)]


def test_a_farewell_names_the_last_call() -> None:
    assert decode_farewell(whole(farewell_frame(7))[1]) == 7
    with pytest.raises(BadFrameError):
        decode_farewell(memoryview(b"\xa1a"))
