"""A simulation in which much happens, and some of it breaks off."""

import asyncio
from contextlib import suppress
from hashlib import blake2b
from random import Random

from allocator.simulation.callbacks import Due, Ready, label_of
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.process import Process


def digest_of_a_busy_day(seed: int) -> str:
    """Return what tells the steps of two runs apart."""
    loop, dice, digest = SimulationLoop(Random(seed)), Random(f"day {seed}"), blake2b()

    def note(process: Process, handle: Ready | Due) -> None:
        digest.update(f"{loop.time()!r} {process.name} {label_of(handle)}\n".encode())

    loop.on_step = note
    loop.run(_day(loop, dice))
    return f"{loop.steps} {digest.hexdigest()[:16]}"


async def _day(loop: SimulationLoop, dice: Random) -> None:
    boxes = [asyncio.Queue[int](3) for _ in range(5)]
    processes = [loop.process(f"worker {number}") for number in range(5)]
    for process, box in zip(processes, boxes, strict=True):
        _ = process.spawn(_work(box, boxes, Random(dice.random())), name="work")
        _ = process.spawn(_beat(), name="beat")
    for number in range(50):
        if not boxes[number % 5].full():  # nobody may be left to empty it
            boxes[number % 5].put_nowait(number)
        await asyncio.sleep(dice.choice([0, 0, 0.001, 0.01]))
        victim = dice.choice(processes)
        happening = dice.random()
        if happening < 0.1:
            victim.pause()
            loop.call_later(dice.random() / 10, victim.resume)
        elif happening < 0.14 and sum(process.alive for process in processes) > 1:
            victim.kill()
    await asyncio.sleep(1)


async def _work(box: asyncio.Queue[int], boxes: list[asyncio.Queue[int]], dice: Random) -> None:
    while True:
        number = await box.get()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.sleep(dice.choice([0, 0.001, 0.002]))
        if number > 0:
            fellow = dice.choice(boxes)
            if not fellow.full():
                fellow.put_nowait(number // 2)


async def _beat() -> None:
    while True:
        await asyncio.sleep(0.01)
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.001))
