"""The provider's answers are read as RFC 9112 says, whatever pieces they come in."""

import json

import pytest

from allocator.domain.checkouts import Outcome
from allocator.payments.answers import Answer, UnreadableError, read_answer
from allocator.payments.http_provider import judge, reference_in

PLAIN = b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n" + b'{"id":"r-1"}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n"
    b'5;why=not\r\n{"id"\r\n7\r\n:"r-1"}\r\n0\r\nTrailer: x\r\n\r\n'
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + PLAIN
WITHOUT_REASON = b"HTTP/1.0 402\r\nCONTENT-LENGTH:2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("whole", "answer"),
    [
        (PLAIN, Answer(201, b'{"id":"r-1"}')),
        (CHUNKED, Answer(200, b'{"id":"r-1"}')),
        (INTERIM, Answer(201, b'{"id":"r-1"}')),
        (WITHOUT_REASON, Answer(402, b"{}")),
        (b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", Answer(204, b"")),
    ],
)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(whole: bytes, answer: Answer) -> None:
    answers = [read_answer(whole[:length], ended=False) for length in range(len(whole) + 1)]
    known = [each for each in answers if each is not None]

    assert known[-1] == answer
    assert set(known) == {answer}
    assert read_answer(whole + b"more", ended=False) == answer


def test_a_body_without_a_length_ends_when_the_connection_does() -> None:
    received = b'HTTP/1.1 200 OK\r\n\r\n{"id":"r-1"}'

    assert read_answer(received, ended=False) is None
    assert read_answer(received, ended=True) == Answer(200, b'{"id":"r-1"}')


@pytest.mark.parametrize("whole", [PLAIN, CHUNKED])
def test_the_status_counts_once_the_head_is_there_and_half_a_body_is_none(whole: bytes) -> None:
    head = whole.index(b"\r\n\r\n") + 4
    status = int(whole[9:12])

    assert read_answer(whole[: head - 1], ended=True) is None
    assert read_answer(whole[:head], ended=True) == Answer(status, None)
    assert read_answer(whole[: head + 9], ended=True) == Answer(status, None)


@pytest.mark.parametrize(
    "received",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"H2",
        b"\x15\x03\x03\x00\x02",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nnonsense",
    ],
)
def test_what_is_no_answer_is_noticed_at_once(received: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_answer(received, ended=False)


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n",
        b"5\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcXY0\r\n\r\n",
        b"\r\n0\r\n\r\n",
        b"-1\r\n\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_make_no_sense_are_no_body(chunks: bytes) -> None:
    received = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks

    assert read_answer(received, ended=True) == Answer(200, None)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, "paid") for status in (200, 201, 202, 204, 299)),
        *((status, "failed") for status in (400, 402, 404, 409, 429, 499)),
        *((status, "unknown") for status in (101, 300, 302, 307, 399, 500, 503, 599, 600, 999)),
    ],
)
def test_2xx_is_paid_and_4xx_failed_and_all_else_unknown(status: int, outcome: Outcome) -> None:
    verdict = judge(Answer(status, b'{"id":"r-1"}'))

    assert (verdict.outcome, verdict.reference) == (outcome, "r-1")
    assert verdict.detail == f"answered {status}"


@pytest.mark.parametrize(
    ("told", "reference"),
    [
        ({"id": "ch_1"}, "ch_1"),
        ({"reference": "ch_1"}, "ch_1"),
        ({"reference": "second", "id": "first"}, "first"),
        ({"reference": "second", "id": None}, "second"),
        ({"id": 17}, "17"),
        ({"id": "x" * 255}, "x" * 255),
        ({"id": "x" * 256}, None),
        ({"id": ""}, None),
        ({"id": True}, None),
        ({"id": 1.5}, None),
        ({"id": {"id": "no"}}, None),
        ({"id": "a\u0000b"}, None),
        ({"id": "a\nb"}, None),
        (["id"], None),
        ("id", None),
        ({}, None),
    ],
)
def test_a_reference_is_kept_if_it_can_be(told: object, reference: str | None) -> None:
    assert reference_in(json.dumps(told).encode()) == reference


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"OK",
        b'{"id":"r-1"',
        b'{"id":"\xff"}',
        b'{"id":"\\ud800"}',
        b'{"id":' + b"9" * 5_000 + b"}",
        b"[" * 30_000,
        b'{"a":' * 5_000,
    ],
)
def test_a_body_that_cannot_be_read_has_no_reference(body: bytes | None) -> None:
    assert reference_in(body) is None
