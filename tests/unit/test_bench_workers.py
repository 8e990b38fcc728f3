"""How a benchmark of several workers understands what it sees."""

import asyncio
import os
from http import HTTPStatus
from time import perf_counter_ns

import pytest

from allocator.actors.statistics import Figures
from allocator.http.metrics import metrics_text
from bench import holders as held
from bench.api import ApiError
from bench.forwards import ForwardedLoad, forwards_sent, shards_by_worker
from bench.holders import (
    HolderError,
    connections_by_process,
    holders,
    inodes_by_client,
    socket_inodes,
)
from bench.load import NS_PER_S, Load
from bench.ratios import Rounds, round_figures
from bench.report import failure_lines
from bench.steady import Loss, Order
from bench.targets import ROLL_LOST, TARGETS, TWO_WORKERS_TO_ONE, WORKER_DEATH_S, Figure
from bench.turns import Turn
from bench.watches import DeathWatch, ForwardWatch, RollWatch

# Port 8080 listens; of its clients 50001 and 50002, the second is not accepted yet. Both ends of
# a connection are there, and a server on another port.
_TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0
   1: 0100007F:1F90 0100007F:C351 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0
   2: 0100007F:C351 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0
   3: 0100007F:1F90 0100007F:C352 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0
   4: 0100007F:1F91 0100007F:C353 01 00000000:00000000 00:00000000 00000000     0        0 15 1 0
"""


def order(product: str = "p", *, client_port: int = 1, sent_ns: int = 0, times: int = 1) -> Order:
    return Order(
        product=product,
        request=b"",
        due_ns=perf_counter_ns(),
        sent_ns=sent_ns or perf_counter_ns(),
        times=times,
        client_port=client_port,
    )


def test_only_accepted_connections_of_the_port_have_holders() -> None:
    assert inodes_by_client(_TABLE, port=8080) == {50001: 12}


def test_only_sockets_count_among_open_files() -> None:
    links = ["socket:[12]", "/dev/null", "pipe:[13]", "anon_inode:[eventpoll]", "/tmp/socket:[14]"]

    assert socket_inodes(links) == {12}


async def test_the_process_that_accepted_a_connection_holds_it() -> None:
    async with await asyncio.start_server(_listen_to_the_end, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        client = writer.get_extra_info("sockname")[1]

        held_by = await asyncio.to_thread(
            holders, port=port, clients=[client], pids=[os.getppid(), os.getpid()]
        )

        assert held_by == {client: os.getpid()}
        assert await asyncio.to_thread(connections_by_process, port) == {os.getpid(): 1}
        writer.close()
        await writer.wait_closed()


def test_a_connection_that_nobody_holds_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_ACCEPTED_WITHIN_S", 0)

    with pytest.raises(HolderError, match="1 connections"):
        holders(port=1, clients=[50001], pids=[os.getpid()])


def test_forwards_and_shares_are_read_from_the_metrics() -> None:
    figures = {"0": Figures(forwards_sent=3, shards=128), "1": Figures(forwards_sent=4, shards=127)}
    metrics = metrics_text(figures, lag=None, versions={}).decode()

    assert forwards_sent(metrics) == 7
    assert shards_by_worker(metrics) == [128, 127]


def test_metrics_that_do_not_count_forwards_are_an_error() -> None:
    with pytest.raises(ApiError, match="allocator_forwards_sent_total"):
        forwards_sent("allocator_forwards_received_total 1.0\n")


def test_orders_are_timed_apart_by_who_holds_the_connection_and_who_owns_the_product() -> None:
    watch = ForwardWatch({"mine": 100, "theirs": 200})
    watch.holders = {1: 100, 2: 200}

    for product, client_port in (("mine", 1), ("theirs", 2), ("theirs", 1)):
        watch.judge(order(product, client_port=client_port), HTTPStatus.CREATED)
    slow = order("mine", client_port=2)
    slow.due_ns -= NS_PER_S
    watch.judge(slow, HTTPStatus.CREATED)
    watch.judge(order("theirs", client_port=1), HTTPStatus.SERVICE_UNAVAILABLE)

    assert watch.forwarded_share == 0.5
    assert watch.direct.max_ms < 1000 <= watch.forwarded.max_ms


async def test_products_have_returned_when_each_placed_an_order_sent_after_the_death() -> None:
    watch = DeathWatch()
    early = order("a")
    returning = asyncio.create_task(watch.return_of({"a", "b"}))
    await asyncio.sleep(0)

    watch.judge(early, HTTPStatus.CREATED)
    watch.judge(order("b"), HTTPStatus.CREATED)
    await asyncio.sleep(0)
    assert not returning.done()

    watch.judge(order("a"), HTTPStatus.CREATED)
    assert await returning <= perf_counter_ns()


async def test_a_keyed_order_is_repeated_until_it_is_placed() -> None:
    watch = DeathWatch()

    assert watch.judge(order(), Loss.UNANSWERED)
    assert watch.judge(order(), Loss.CUT_SHORT)
    assert watch.judge(order(), HTTPStatus.SERVICE_UNAVAILABLE)
    assert watch.judge(order(), HTTPStatus.CREATED) is None
    assert watch.judge(order(), HTTPStatus.CONFLICT) is None


def test_in_a_roll_only_what_was_not_answered_at_all_is_repeated_and_once() -> None:
    watch = RollWatch()

    assert watch.judge(order(), Loss.UNANSWERED) == 0
    assert watch.judge(order(times=2), Loss.UNANSWERED) is None
    assert watch.judge(order(), Loss.CUT_SHORT) is None
    assert watch.judge(order(), HTTPStatus.SERVICE_UNAVAILABLE) is None
    assert watch.repeated == 1


def test_two_workers_are_compared_with_one_and_say_what_they_forwarded() -> None:
    turns = [
        turn("spread", 0, 100),
        turn("spread_two_workers", 0, 90, forwarded=45, busiest_share=0.6),
        turn("spread", 1, 200),
        turn("spread_two_workers", 1, 220, forwarded=154, busiest_share=1.0),
    ]

    [figure] = round_figures(Rounds(turns))

    assert figure.name == TWO_WORKERS_TO_ONE
    assert figure.value == pytest.approx(1.0)
    assert figure.details == {
        "forwarded_share": pytest.approx(0.6),
        "busiest_worker_connections_max": 1.0,
    }


def test_one_lost_request_is_one_too_many() -> None:
    target = next(target for target in TARGETS if target.name == ROLL_LOST)

    assert target.verdict(0) == "aim"
    assert target.verdict(1) == "MISSED"


def test_a_failure_is_told_beside_the_tables() -> None:
    figures = [
        Figure(name=ROLL_LOST, value=1, failure="HTTP/1.1 503"),
        Figure(name=WORKER_DEATH_S, value=0.3),
    ]

    told = failure_lines(figures)

    assert told.splitlines() == [
        "requests lost or failed in a rolling restart at 1,000/s: one failure was HTTP/1.1 503"
    ]


def turn(
    contender: str,
    number: int,
    created: int,
    *,
    forwarded: int | None = None,
    busiest_share: float = 0.5,
) -> Turn:
    load = Load(client="test", created=created, failed=0, unread_max=0, elapsed_ns=NS_PER_S)
    if forwarded is not None:
        load = ForwardedLoad(
            client="test",
            created=created,
            failed=0,
            unread_max=0,
            elapsed_ns=NS_PER_S,
            forwarded=forwarded,
            busiest_share=busiest_share,
        )
    return Turn(contender=contender, round=number, load=load, seen=created, catch_up_s=0)


async def _listen_to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()
    await writer.wait_closed()
