"""An event loop that can do nothing: no threads, no sockets, no processes of the machine."""

import asyncio
from collections.abc import Callable
from typing import NoReturn


class NotSimulatedError(NotImplementedError):
    """A simulation has no such thing; hand what needs it another one."""

    def __init__(self, *, what: str) -> None:
        super().__init__(f"a simulation has no {what}")


def _without(what: str) -> "Callable[..., NoReturn]":
    def refuse(*_: object, **__: object) -> NoReturn:
        raise NotSimulatedError(what=what)

    return refuse


class BareLoop(asyncio.BaseEventLoop):
    """Refuses, with `NotSimulatedError`, whatever would reach beyond its own callbacks."""

    call_soon_threadsafe = _without("threads")
    run_in_executor = _without("threads")

    add_reader = _without("sockets")
    add_writer = _without("sockets")
    create_connection = _without("sockets")
    create_datagram_endpoint = _without("sockets")
    create_server = _without("sockets")
    create_unix_connection = _without("sockets")
    create_unix_server = _without("sockets")
    getaddrinfo = _without("sockets")
    getnameinfo = _without("sockets")
    sock_accept = _without("sockets")
    sock_connect = _without("sockets")
    sock_recv = _without("sockets")
    sock_sendall = _without("sockets")

    connect_read_pipe = _without("pipes")
    connect_write_pipe = _without("pipes")
    subprocess_exec = _without("subprocesses")
    subprocess_shell = _without("subprocesses")

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: what generators leave behind ends with the simulation."""

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 (asyncio's own)
    ) -> None:
        """Do nothing: there is none."""
