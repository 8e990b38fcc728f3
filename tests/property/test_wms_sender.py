"""Whatever is lost, late, repeated or forgotten: each push is applied once in effect, in order."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.wms.bucket import Limit
from allocator.wms.gate import Gate, LimitedWms
from allocator.wms.interface import (
    InventoryPage,
    Push,
    PushLine,
    WmsBrokenError,
    WmsLimitedError,
    WmsUnavailableError,
)
from allocator.wms.sender import Patience, Sender
from tests.virtual_time import START_MS, now_ms, run

URL: Final = "http://wms"
LIMIT: Final = Limit(per_s=20, burst=2)
SKUS: Final = ("tea", "mug", "pot")
FATES: Final = (
    "heard",
    "lost",
    "answer lost",
    "heard later",
    "heard twice",
    "partly",
    "refused",
    "nonsense",
)


class Store:
    """What is durable: pushes, and how far they are acknowledged."""

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self.through = 0

    def add(self, sku: str) -> None:
        line = PushLine(batch=None, decrease=1)
        self.pushes.append(
            Push(number=len(self.pushes) + 1, sku=sku, lines=(line,), at_ms=START_MS)
        )

    async def pending(self, *, after: int, limit: int) -> Sequence[Push]:
        await asyncio.sleep(0.001)
        return self.pushes[after : after + limit]

    async def newest(self) -> int:
        return len(self.pushes)

    async def acknowledged(self, through: int) -> None:
        await asyncio.sleep(0.001)
        self.through = max(self.through, through)


class Far:
    """A WMS beyond a bad network. It knows pushes by their numbers, and nothing else."""

    def __init__(self, fates: Sequence[str]) -> None:
        self.applied: list[Push] = []
        self._fates = list(fates)
        self._on_their_way: set[asyncio.Task[None]] = set()

    async def page(self, cursor: str | None) -> InventoryPage:
        raise NotImplementedError(cursor)

    async def push(self, pushes: Sequence[Push]) -> int:
        fate = self._fates.pop(0) if self._fates else "heard"
        await asyncio.sleep(0.01)
        match fate:
            case "lost":
                raise WmsUnavailableError(url=URL, why="lost")
            case "answer lost":
                self._hear(pushes)
                raise WmsUnavailableError(url=URL, why="its answer was lost")
            case "heard later":
                self._hear_later(pushes, after_s=3)
                raise WmsUnavailableError(url=URL, why="no answer in time")
            case "heard twice":
                self._hear_later(pushes, after_s=7)
                return self._hear(pushes)
            case "partly":
                return self._hear(pushes[: len(pushes) // 2 + 1])
            case "refused":
                raise WmsLimitedError(url=URL, retry_after_s=0.5)
            case "nonsense":
                raise WmsBrokenError(url=URL, why="it answered 404")
            case _:
                return self._hear(pushes)

    async def quiet(self) -> None:
        """Return once nothing is on its way any more."""
        await asyncio.gather(*self._on_their_way)

    def _hear_later(self, pushes: Sequence[Push], *, after_s: float) -> None:
        async def travel() -> None:
            await asyncio.sleep(after_s)
            self._hear(pushes)

        self._on_their_way.add(asyncio.create_task(travel()))

    def _hear(self, pushes: Sequence[Push]) -> int:
        for push in pushes:
            through = len(self.applied)
            assert push.number <= through + 1, "a number was left out"
            if push.number > through:
                self.applied.append(push)
        return len(self.applied)


LIVES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(SKUS), max_size=30),
        st.integers(0, 4_000),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(fates=st.lists(st.sampled_from(FATES), max_size=12), lives=LIVES)
@settings(max_examples=60)
def test_each_push_is_applied_once_and_in_order(
    fates: list[str], lives: list[tuple[list[str], int, bool]]
) -> None:
    """N3, N12: at least once, and once in effect, though senders die and overlap."""
    run(_send(fates, lives))


async def _send(fates: list[str], lives: list[tuple[list[str], int, bool]]) -> None:
    store, far = Store(), Far(fates)
    deposed: list[asyncio.Task[None]] = []
    for skus, life_ms, lingers in lives:
        for sku in skus:
            store.add(sku)
        sending = asyncio.create_task(_sender(far, store).run())
        await asyncio.sleep(life_ms / 1000)
        if lingers:  # it has been replaced, and does not know
            deposed.append(sending)
        else:
            await _stop(sending)
    last = _sender(far, store)
    sending = asyncio.create_task(last.run())
    await asyncio.sleep(120)
    await _stop(sending, *deposed)
    await far.quiet()

    assert far.applied == store.pushes
    assert store.through == len(store.pushes) == last.progress.acknowledged_through
    assert last.progress.lag_ms(now_ms=now_ms()) == 0


def _sender(far: Far, store: Store) -> Sender:
    gate = Gate(LIMIT, clock=lambda: int(asyncio.get_running_loop().time() * 1_000_000))
    return Sender(
        LimitedWms(far, gate),
        store,
        name=URL,
        after=store.through,
        patience=Patience(first_pause_ms=100, longest_pause_ms=2_000, look_every_ms=500),
        clock=now_ms,
        chance=Random(3),
    )


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
