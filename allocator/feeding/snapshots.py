"""Snapshots that a warehouse system pushes, in parts: a run is made of one when it is whole."""

import asyncio
from contextlib import suppress
from typing import Final

import msgspec

from allocator.feeding.kit import Kit
from allocator.feeding.runner import Runner
from allocator.feeding.told import Snapshot, Told
from allocator.wms.interface import InventoryPage, WmsUnavailableError
from allocator.wms.shapes import ItemBody, PageBody, page_of

_LOOK_EVERY_S: Final = 5.0
_AGAIN_MIN_S: Final = 1.0
_AGAIN_MAX_S: Final = 60.0

items_in: Final = msgspec.json.Decoder(tuple[ItemBody, ...])


class Parts:
    """A snapshot as a warehouse system that is asked for its pages; it satisfies `Inventory`."""

    def __init__(self, told: Told, feed: int, snapshot: Snapshot) -> None:
        self._told = told
        self._feed = feed
        self._snapshot = snapshot

    async def page(self, cursor: str | None) -> InventoryPage:
        """Return a part, by its number.

        Raises:
            WmsUnavailableError: A newer snapshot has taken its place.
        """
        snapshot, part = self._snapshot, int(cursor or "1")
        items = await self._told.part(self._feed, as_of=snapshot.as_of, part=part)
        if items is None:
            raise WmsUnavailableError(url="its snapshot", why="a newer one has come")
        return page_of(
            PageBody(
                as_of=snapshot.as_of,
                applied_through=snapshot.applied_through,
                items=items_in.decode(items),
                next_cursor=str(part + 1) if part < snapshot.parts else None,
            )
        )


class Snapshots:
    """The snapshots of one feed.

    Args:
        kit: The feed's.
        runs: To be held during a run.
    """

    def __init__(self, kit: Kit, *, runs: asyncio.Lock) -> None:
        self._kit = kit
        self._feed = kit.feed
        self._told = kit.told
        self._runs = runs
        self._knocked = asyncio.Event()

    def knock(self) -> None:
        """Have a snapshot be heard that has just become whole."""
        self._knocked.set()

    async def run(self) -> None:
        """Have whole snapshots be heard for ever; cancel to stop.

        Raises:
            AllocatorError: Something did not answer; a snapshot that was not heard is kept.
        """
        pause_s = _AGAIN_MIN_S
        while True:
            snapshot = await self._told.snapshot(self._feed)
            is_whole = snapshot is not None and snapshot.is_whole
            if snapshot is not None and is_whole and await self._hear(snapshot):
                pause_s = _AGAIN_MIN_S
            elif is_whole:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _AGAIN_MAX_S)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._knocked.wait()
                self._knocked.clear()

    async def _hear(self, snapshot: Snapshot) -> bool:
        """Have a snapshot be heard; return whether nothing more can come of it."""
        async with self._runs:
            parts = Parts(self._told, self._feed, snapshot)
            is_done = await Runner(self._kit, parts).hear_pushed()
        if is_done:
            await self._told.forget_snapshots(self._feed, as_of=snapshot.as_of)
        return is_done
