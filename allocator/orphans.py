"""Workers that outlived their supervisor: they serve on, and make room for a new server.

A supervisor that is killed cannot stop its workers, and there is no reason why clients should
notice. Whoever is started next on the same port finds their sockets, asks them to leave, and
waits until they have.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import structlog

from allocator.actors.wire import Heard, Request, Response, Retire
from allocator.errors import AllocatorError
from allocator.peers.frames import Hello, Numbered
from allocator.peers.link import Link
from allocator.peers.sockets import Sockets, UnixSockets

log = structlog.get_logger()

_ANSWER_S: Final = 2.0
_GRACE_S: Final = 1.0
_POLL_S: Final = 0.02

_responses: Final = msgspec.msgpack.Decoder(Numbered[Response])


async def retire_orphans(directory: Path) -> list[Path]:
    """Have the workers whose sockets are in a directory leave, if nobody looks after them.

    Returns:
        The sockets of those that will.
    """
    leaving = [path for path in _sockets_in(directory) if await retires(path, UnixSockets())]
    if leaving:
        log.info("server.retiring_orphans", workers=len(leaving))
    return leaving


async def until_gone(leaving: Sequence[Path], *, within_ms: int) -> None:
    """Wait until workers have left; return all the same when that takes too long.

    Args:
        leaving: Their sockets.
        within_ms: So long they may take to finish what they have accepted.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(within_ms / 1000 + _GRACE_S):
            for path in leaving:
                while path in _sockets_in(path.parent):  # noqa: ASYNC110 (no event of ours)
                    await asyncio.sleep(_POLL_S)


def _sockets_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.sock"))


@cache
def _build() -> str:
    """Return what we are; to find it out takes long, and there may be many to ask."""
    return version("allocator")


async def retires(path: Path, sockets: Sockets) -> bool:
    """Ask the worker at a socket to leave; return whether it will."""
    link: Link[Request, Response] = Link(
        path,
        sockets=sockets,
        hello=Hello(name="server", build=_build()),
        peer=path.stem,
        responses=_responses,
        timeout_s=_ANSWER_S,
        in_flight_max=1,
    )
    try:
        return isinstance(await link.call(Retire()), Heard)
    except AllocatorError:
        return False  # a dead worker's socket, or one that cannot be asked
    finally:
        await link.close()
