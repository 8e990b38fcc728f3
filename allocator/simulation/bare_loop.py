"""An event loop that can do nothing: no threads, no sockets, no processes of the machine."""

import asyncio
from typing import Final, NoReturn

_REFUSED: Final = {
    "threads": ("call_soon_threadsafe", "run_in_executor"),
    "sockets": (
        "add_reader",
        "add_writer",
        "create_connection",
        "create_datagram_endpoint",
        "create_server",
        "create_unix_connection",
        "create_unix_server",
        "getaddrinfo",
        "getnameinfo",
        "sock_accept",
        "sock_connect",
        "sock_recv",
        "sock_sendall",
    ),
    "pipes": ("connect_read_pipe", "connect_write_pipe"),
    "subprocesses": ("subprocess_exec", "subprocess_shell"),
}
"""What a simulation lacks, and the methods of a loop that need it."""


class NotSimulatedError(NotImplementedError):
    """A simulation has no such thing; hand what needs it another one."""

    def __init__(self, *, what: str) -> None:
        super().__init__(f"a simulation has no {what}")


class BareLoop(asyncio.BaseEventLoop):
    """Refuses, with `NotSimulatedError`, whatever would reach beyond its own callbacks."""

    # Every future asks for both.
    get_debug = staticmethod(bool)
    """Returns that nobody debugs."""

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: what generators leave behind ends with the simulation."""

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 (asyncio's own)
    ) -> None:
        """Do nothing: there is none."""


def _refuse(what: str) -> object:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise NotSimulatedError(what=what)

    return refuse


for _what, _names in _REFUSED.items():
    for _name in _names:
        setattr(BareLoop, _name, _refuse(_what))
