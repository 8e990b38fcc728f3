"""What the commands have in common that play a system of somebody else's, on this machine."""

import asyncio
import os
import secrets
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import click

from allocator.cli.options import PREFIX, Number
from allocator.errors import AllocatorError

_SEED_MAX: Final = (1 << 63) - 1
PORT: Final = click.Option(
    ["--port"],
    type=Number(0, 65_535),
    default=0,
    metavar="PORT",
    envvar=f"{PREFIX}PORT",
    show_envvar=True,
    help="TCP port of this machine to listen on; 0 takes a free one.",
)
SEED: Final = click.Option(
    ["--seed"],
    type=Number(0, _SEED_MAX),
    metavar="N",
    envvar=f"{PREFIX}SEED",
    show_envvar=True,
    help="Behave as this seed does; without it, one that nobody has seen.",
)

_SEED_BITS: Final = 31


class Share(click.FloatRange):
    """A part of all, and the words for it."""

    name = "number from 0 to 1"


def seed_of(given: int | None) -> int:
    """Return a seed that was given, or one that nobody knows yet."""
    return secrets.randbits(_SEED_BITS) if given is None else given


def play(
    name: str, serving: Callable[[], AbstractAsyncContextManager[str]], *, port: int, seed: int
) -> None:
    """Say where it is, and with which seed, and serve until SIGTERM or Ctrl-C.

    Args:
        name: Of the command.
        serving: Has it serve, and gives its URL.
        port: On which it was to listen.
        seed: What decides all that it does.

    Raises:
        AllocatorError: It cannot listen there.
    """
    import uvloop

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with serving() as url:
            click.echo(f"{name}: {url}, seed {seed}")
            await stop.wait()

    try:
        uvloop.run(serve())
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise AllocatorError(f"cannot listen on port {port}: {why}") from error
