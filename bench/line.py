"""A connection that tells more of itself than whether it was answered."""

import asyncio
from collections.abc import Callable

from bench.client import Connection
from bench.load import LoadError

_CONNECTS_MAX = 10
_FAILURE_CHARS = 300


async def connect(
    port: int,
    *,
    on_answer: Callable[[Connection, int], None],
    on_lost: Callable[[Connection], None],
) -> "Line":
    """Open a connection that was not lost again before its owner had it.

    Raises:
        LoadError: The server accepts none, or closes ten in a row.
    """
    try:
        for _ in range(_CONNECTS_MAX):
            transport, line = await asyncio.get_running_loop().create_connection(
                lambda: Line(on_answer=on_answer, on_lost=on_lost), "127.0.0.1", port
            )
            line.client_port = transport.get_extra_info("sockname")[1]
            if not line.was_lost:
                return line
    except OSError as error:
        raise LoadError(f"port {port} accepts no connection: {error}") from error
    raise LoadError(f"port {port} closed {_CONNECTS_MAX} connections at once")


class Line(Connection):
    """A connection that knows its own end.

    Attributes:
        client_port: Ours; 0 until it is open.
        was_lost: Whether it is of no use any more.
    """

    client_port = 0
    was_lost = False
    _answer = b""

    def connection_lost(self, error: Exception | None) -> None:
        """Remember it, and tell the owner."""
        self.was_lost = True
        super().connection_lost(error)

    def data_received(self, chunk: bytes) -> None:
        """Keep the answer, and tell the owner once it is whole."""
        self._answer = self._received + chunk
        super().data_received(chunk)

    @property
    def answer_text(self) -> str:
        """The status and the body of the last answer, in one line."""
        head, _, body = self._answer.decode(errors="replace").partition("\r\n\r\n")
        return f"{head.splitlines()[0]} {body}".strip()[:_FAILURE_CHARS]

    @property
    def is_amid_answer(self) -> bool:
        """Whether a part of an answer has come and the rest has not."""
        return bool(self._received)
