"""Connections between simulated processes: what arrives, when, and how it ends."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import cast

import pytest

from allocator.errors import AllocatorError
from allocator.peers.door import Door
from allocator.peers.errors import (
    DoorError,
    PeerLostError,
    PeerTimeoutError,
    PeerUnreachableError,
    PeerVersionError,
)
from allocator.peers.frames import Hello
from allocator.peers.link import Link
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.network import Network
from allocator.simulation.process import Process, current_process
from tests.integration.peers_support import (
    ANSWERER,
    ASKS,
    CALLER,
    TOLD,
    Ask,
    Pile,
    Told,
    echo,
)

PATH = Path("/door")


class Listener(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ends: list[Exception | None] = []
        self.waits: list[bool] = [False]
        self.processes: set[Process] = set()
        self.transport: asyncio.Transport

    def data(self) -> bytes:
        return b"".join(self.pieces)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.processes.add(current_process())

    def data_received(self, data: bytes) -> None:
        assert not self.ends
        self.pieces.append(data)
        self.processes.add(current_process())

    def pause_writing(self) -> None:
        self.waits.append(True)

    def resume_writing(self) -> None:
        self.waits.append(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)
        self.processes.add(current_process())


class Stage:
    """Two processes, and what is between them."""

    def __init__(self, seed: int = 1) -> None:
        self.loop = SimulationLoop(Random(seed), steps_max=100_000)
        self.network = Network(self.loop, Random(f"network {seed}"))
        self.sockets = self.network.sockets()
        self.caller = self.loop.process("caller")
        self.answerer = self.loop.process("answerer")
        self.lost: list[str] = []

    def run(self, scenario: Callable[["Stage"], Coroutine[object, object, None]]) -> None:
        """Run a scenario; no error may be left that nobody has read."""
        self.loop.run(scenario(self))
        assert not self.loop.errors

    async def ends(self) -> tuple[Listener, Listener]:
        """Return the two ends of a connection."""
        here, there = Listener(), Listener()
        await self.answerer.spawn(self.sockets.listen(PATH, lambda: there))
        await self.caller.spawn(self.sockets.connect(PATH, lambda: here))
        await asyncio.sleep(0.1)
        return here, there

    async def door(self, pile: Pile | None = None, *, hello: Hello = ANSWERER) -> Door[Ask, Told]:
        door: Door[Ask, Told] = Door(
            PATH,
            sockets=self.sockets,
            hello=hello,
            requests=ASKS,
            handle=echo if pile is None else pile.take,
            outstanding_max=100,
        )
        await self.answerer.spawn(door.open())
        return door

    async def link(self, *, timeout_s: float = 2.0) -> Link[Ask, Told]:
        async def make() -> Link[Ask, Told]:
            return Link(
                PATH,
                sockets=self.sockets,
                hello=CALLER,
                peer="answerer",
                responses=TOLD,
                timeout_s=timeout_s,
                in_flight_max=1000,
                on_lost=self.lost.append,
            )

        return await self.caller.spawn(make())

    async def ask(self, link: Link[Ask, Told], count: int) -> list[object]:
        """Return what becomes of so many calls."""

        async def ask() -> list[object]:
            calls = [link.call(Ask(number)) for number in range(count)]
            return list[object](await asyncio.gather(*calls, return_exceptions=True))

        return await self.caller.spawn(ask())


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_arrives_whole_and_in_order_in_any_pieces(seed: int) -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        written = [bytes([number]) * (1 + number) for number in range(60)]
        for piece in written:
            here.transport.write(piece)
            there.transport.write(piece)
            await asyncio.sleep(stage.network.dice.choice([0, 0.0001]))
        await asyncio.sleep(1)
        assert here.data() == there.data() == b"".join(written)
        assert here.pieces != there.pieces != written
        assert here.processes == {stage.caller}
        assert there.processes == {stage.answerer}

    Stage(seed).run(scenario)


def test_pieces_are_cut_and_joined() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        for _ in range(200):
            here.transport.write(b"abc")
            await asyncio.sleep(0.0001)
        await asyncio.sleep(1)
        sizes = {len(piece) for piece in there.pieces}
        assert {1, 2, 3, 6} <= sizes

    Stage().run(scenario)


def test_nothing_arrives_at_once() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        stage.network.delay = lambda one, _: 5.0 if one is stage.caller else 7.0
        here.transport.write(b"there")
        there.transport.write(b"here")
        await asyncio.sleep(4.9)
        assert (here.data(), there.data()) == (b"", b"")
        await asyncio.sleep(30)
        assert (here.data(), there.data()) == (b"here", b"there")

    Stage().run(scenario)


def test_what_is_quick_waits_for_what_is_slow_before_it_and_for_nothing_after_it() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        delays_s = iter([1.0, 5.0, 1.0, 1.0])
        stage.network.delay = lambda _one, _other: next(delays_s, 0.0)
        here.transport.write(b"1")
        here.transport.write(b"5")
        here.transport.write(b"1")
        here.transport.close()
        await asyncio.sleep(3)
        assert there.data() == b"1"
        there.transport.write(b"who hangs up behind what is under way has not yet hung up")
        await asyncio.sleep(3)
        assert there.data() == b"151"
        assert there.ends == [None]

    Stage().run(scenario)


def test_who_closes_is_told_so_once_and_the_peer_after_everything_that_was_written() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        here.transport.write(b"goodbye")
        here.transport.close()
        here.transport.write(b"too late")
        assert here.transport.is_closing()
        assert not here.ends
        here.transport.close()
        here.transport.abort()
        await asyncio.sleep(1)
        assert there.data() == b"goodbye"
        assert here.ends == [None]
        assert there.ends == [None]

    Stage().run(scenario)


def test_who_closes_on_what_was_not_read_resets_the_connection() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        here.transport.pause_reading()
        there.transport.write(b"unheard")
        await asyncio.sleep(1)
        here.transport.close()
        await asyncio.sleep(1)
        assert here.data() == b""
        assert isinstance(there.ends[0], ConnectionResetError)

    Stage().run(scenario)


def test_a_peer_that_does_not_read_is_noticed_and_its_bytes_are_kept() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        stage.network.room_bytes = 1000
        there.transport.pause_reading()
        here.transport.write(b"a" * 1000)
        assert here.waits == [False]
        here.transport.write(b"b" * 1000)
        assert here.waits[-1]
        here.transport.close()
        await asyncio.sleep(1)
        assert not here.ends
        there.transport.resume_reading()
        await asyncio.sleep(1)
        assert there.data() == b"a" * 1000 + b"b" * 1000
        assert here.ends == there.ends == [None]

    Stage().run(scenario)


def test_who_closes_is_gone_when_a_kernel_has_taken_everything() -> None:
    async def scenario(stage: Stage) -> None:
        here, _ = await stage.ends()
        delays_s = iter([0.0, 100.0])
        stage.network.room_bytes = 1000
        stage.network.delay = lambda _one, _other: next(delays_s, 0.0)
        here.transport.write(b"a" * 600)
        here.transport.write(b"b" * 900)
        here.transport.close()
        assert not here.ends
        await asyncio.sleep(1)
        assert here.ends == [None]

    Stage().run(scenario)


def test_a_writer_is_told_when_there_is_room_again() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        there.transport.pause_reading()
        here.transport.write(b"a" * (stage.network.room_bytes + 1))
        await asyncio.sleep(1)
        assert here.waits[-1]
        there.transport.resume_reading()
        await asyncio.sleep(1)
        assert not here.waits[-1]

    Stage().run(scenario)


def test_what_no_kernel_has_taken_is_lost_with_a_cut_connection() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        stage.network.room_bytes = 10
        here.transport.write(b"0123456")
        here.transport.write(b"789abcdef")
        here.transport.abort()
        await asyncio.sleep(1)
        assert there.data() == b"0123456789"
        assert here.ends == there.ends == [None]

    Stage().run(scenario)


@pytest.mark.parametrize("reads", [True, False])
def test_who_cannot_write_any_more_hears_that_the_peer_is_gone(*, reads: bool) -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        stage.network.room_bytes = 10
        there.transport.pause_reading()
        here.transport.write(b"a" * 20)
        if not reads:
            here.transport.pause_reading()
        await asyncio.sleep(1)
        assert not here.ends
        stage.answerer.kill()
        await asyncio.sleep(1)
        assert len(here.ends) == 1
        assert here.ends[0] is not None
        assert not there.ends

    Stage().run(scenario)


def test_who_does_not_read_hears_that_the_peer_is_gone_when_it_writes() -> None:
    async def scenario(stage: Stage) -> None:
        here, _ = await stage.ends()
        here.transport.pause_reading()
        stage.answerer.kill()
        await asyncio.sleep(1)
        assert not here.ends
        here.transport.write(b"anybody?")
        await asyncio.sleep(1)
        assert isinstance(here.ends[0], BrokenPipeError)

    Stage().run(scenario)


def test_what_the_dead_have_written_arrives_and_then_the_end() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        there.transport.write(b"last words")
        stage.answerer.kill()
        assert not here.ends
        await asyncio.sleep(1)
        assert here.data() == b"last words"
        assert here.ends == [None]
        assert not there.ends

    Stage().run(scenario)


def test_a_paused_process_reads_when_it_wakes() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        stage.answerer.pause()
        here.transport.write(b"wake up")
        here.transport.close()
        await asyncio.sleep(10)
        assert not there.data()
        assert here.ends == [None]
        stage.answerer.resume()
        await asyncio.sleep(1)
        assert there.data() == b"wake up"
        assert there.ends == [None]

    Stage().run(scenario)


def test_a_broken_connection_delivers_a_beginning_of_what_was_written() -> None:
    lengths = set[int]()

    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        for number in range(10):
            here.transport.write(bytes([number]))
        stage.network.cut(stage.answerer, stage.caller)
        here.transport.write(b"into the void")
        await asyncio.sleep(1)
        assert bytes(range(10)).startswith(there.data())
        lengths.add(len(there.data()))
        for end in (here, there):
            assert len(end.ends) == 1
            assert isinstance(end.ends[0], ConnectionResetError)

    for seed in range(40):
        Stage(seed).run(scenario)

    assert {0, 10} <= lengths
    assert len(lengths) > 5


def test_between_parted_processes_nothing_arrives_and_nothing_is_lost() -> None:
    async def scenario(stage: Stage) -> None:
        here, there = await stage.ends()
        here.transport.write(b"under way ")
        stage.network.partition(stage.caller, stage.answerer)
        here.transport.write(b"and held back")
        there.transport.close()
        connecting = stage.caller.spawn(stage.sockets.connect(PATH, Listener))
        await asyncio.sleep(10)
        assert not there.data()
        assert not here.ends
        assert not connecting.done()
        stage.network.heal()
        await asyncio.sleep(1)
        assert len(here.ends) == 1
        assert connecting.done()

    async def heard(stage: Stage) -> None:
        here, there = await stage.ends()
        stage.network.partition(stage.caller, stage.answerer)
        here.transport.write(b"held back")
        await asyncio.sleep(10)
        assert not there.data()
        stage.network.heal()
        await asyncio.sleep(1)
        assert there.data() == b"held back"

    Stage().run(scenario)
    Stage().run(heard)


def test_nobody_hears_of_a_death_beyond_a_partition() -> None:
    async def scenario(stage: Stage) -> None:
        here, _ = await stage.ends()
        stage.network.room_bytes = 10
        here.transport.pause_reading()
        stage.network.partition(stage.caller, stage.answerer)
        stage.answerer.kill()
        here.transport.write(b"a" * 20)
        await asyncio.sleep(10)
        here.transport.write(b"a" * 20)
        await asyncio.sleep(10)
        assert not here.ends
        stage.network.heal()
        await asyncio.sleep(1)
        assert isinstance(here.ends[0], BrokenPipeError)

    Stage().run(scenario)


def test_only_the_living_who_listen_can_be_connected_to() -> None:
    async def scenario(stage: Stage) -> None:
        async def connect() -> None:
            await stage.caller.spawn(stage.sockets.connect(PATH, Listener))

        with pytest.raises(FileNotFoundError):
            await connect()
        listening = await stage.answerer.spawn(stage.sockets.listen(PATH, Listener))
        await connect()
        with pytest.raises(DoorError, match="another process listens"):
            await stage.caller.spawn(stage.sockets.listen(PATH, Listener))
        listening.stop()
        with pytest.raises(FileNotFoundError):
            await connect()
        await stage.answerer.spawn(stage.sockets.listen(PATH, Listener))
        listening.stop()
        await connect()
        stage.answerer.kill()
        with pytest.raises(ConnectionRefusedError):
            await connect()
        await stage.loop.process("successor").spawn(stage.sockets.listen(PATH, Listener))
        await connect()

    Stage().run(scenario)


def test_whoever_comes_too_late_to_be_taken_is_disconnected() -> None:
    async def scenario(stage: Stage) -> None:
        here, taken = Listener(), list[Listener]()

        def take() -> Listener:
            taken.append(Listener())
            return taken[-1]

        listening = await stage.answerer.spawn(stage.sockets.listen(PATH, take))
        stage.answerer.pause()
        await stage.caller.spawn(stage.sockets.connect(PATH, lambda: here))
        listening.stop()
        stage.answerer.resume()
        await asyncio.sleep(1)
        assert not taken
        assert len(here.ends) == 1

    Stage().run(scenario)


# And with what runs on it in earnest.


@pytest.mark.parametrize("seed", range(20))
def test_every_call_of_a_link_gets_its_own_answer(seed: int) -> None:
    async def scenario(stage: Stage) -> None:
        door = await stage.door()
        link = await stage.link()
        assert await stage.ask(link, 200) == [Told(number) for number in range(200)]
        await stage.caller.spawn(link.close())
        await stage.answerer.spawn(door.close())

    Stage(seed).run(scenario)


def test_calls_of_a_killed_peer_are_lost_and_those_of_its_successor_answered() -> None:
    async def scenario(stage: Stage) -> None:
        pile = Pile()
        await stage.door(pile)
        link = await stage.link()
        stage.loop.call_later(0.5, stage.answerer.kill)
        lost = await stage.ask(link, 10)
        assert {type(each) for each in lost} == {PeerLostError}
        assert stage.lost == ["answerer"]
        stage.answerer = stage.loop.process("successor")
        await stage.door()
        assert await stage.ask(link, 3) == [Told(0), Told(1), Told(2)]

    Stage().run(scenario)


def test_calls_of_a_peer_that_stands_still_time_out_and_it_can_be_called_when_it_wakes() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.door()
        link = await stage.link()
        assert await stage.ask(link, 1) == [Told(0)]
        stage.answerer.pause()
        late = await stage.ask(link, 10)
        assert {type(each) for each in late} == {PeerTimeoutError}
        stage.answerer.resume()
        await asyncio.sleep(1)
        assert await stage.ask(link, 3) == [Told(0), Told(1), Told(2)]

    Stage().run(scenario)


def test_nobody_is_reached_beyond_a_partition() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.door()
        link = await stage.link()
        stage.network.partition(stage.caller, stage.answerer)
        barred = await stage.ask(link, 3)
        assert {type(each) for each in barred} == {PeerUnreachableError}
        stage.network.heal()
        await asyncio.sleep(1)
        assert await stage.ask(link, 3) == [Told(0), Told(1), Told(2)]

    Stage().run(scenario)


def test_a_peer_of_another_version_is_refused() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.door(hello=Hello(oldest=98, newest=99, name="answerer", build="foreign"))
        link = await stage.link()
        barred = await stage.ask(link, 3)
        assert {type(each) for each in barred} == {PeerVersionError}

    Stage().run(scenario)


def test_a_door_that_closes_answers_what_it_took_and_hands_back_the_rest() -> None:
    async def scenario(stage: Stage) -> None:
        pile = Pile()
        door = await stage.door(pile)
        link = await stage.link()
        asking = asyncio.create_task(stage.ask(link, 5))
        await asyncio.sleep(1)
        closing = stage.answerer.spawn(door.close(drain_s=1))
        stage.answerer.call_later(0.5, pile.answer)
        assert await asking == [Told(number) for number in range(5)]
        await closing
        assert not stage.lost

    Stage().run(scenario)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_each_call_has_an_end_and_no_answer_is_another_s(seed: int) -> None:
    async def scenario(stage: Stage) -> None:
        network, dice = stage.network, Random(f"trouble {seed}")
        network.room_bytes = 300
        network.delay = lambda _one, _other: dice.choice([0.0, 0.0001, 0.01, 0.3])
        await stage.door()
        link = await stage.link(timeout_s=1)
        for _ in range(25):
            match dice.randrange(6):
                case 0:
                    network.cut(stage.caller, stage.answerer)
                case 1:
                    network.partition(stage.caller, stage.answerer)
                    stage.loop.call_later(dice.random(), network.heal)
                case 2:
                    stage.answerer.pause()
                    stage.loop.call_later(2 * dice.random(), stage.answerer.resume)
                case 3:
                    stage.answerer.kill()
                    stage.answerer = stage.loop.process("answerer")
                    await stage.door()
                case _:
                    pass
            asked = 0
            with suppress(AllocatorError):
                heard = await stage.ask(link, 20)
                asked = len(heard)
                for number, each in enumerate(heard):
                    assert isinstance(each, AllocatorError) or each == Told(number)
            await asyncio.sleep(dice.random() if asked else 0.3)
        network.heal()
        stage.answerer.resume()
        await asyncio.sleep(5)
        assert await stage.ask(link, 3) == [Told(0), Told(1), Told(2)]

    Stage(seed).run(scenario)
