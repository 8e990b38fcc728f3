"""Where lines and warnings go: standard output, for as long as anybody reads it, and error."""

import os
import select
from collections.abc import Sequence
from typing import TextIO


class Output:
    """A place for lines, and one for what is said beside them.

    Attributes:
        closed: Whether there is nobody to write lines for.
    """

    def __init__(self, lines: TextIO, warnings: TextIO) -> None:
        self.closed = False
        self._lines = lines
        self._warnings = warnings

    def show(self, lines: Sequence[str]) -> None:
        """Write lines at once.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        if lines:
            self._lines.write("\n".join(lines) + "\n")
            self._lines.flush()

    def warn(self, sentence: str) -> None:
        """Write a sentence that is no part of the lines."""
        self._warnings.write(f"allocator: {sentence.rstrip('.')}.\n")
        self._warnings.flush()

    def check(self) -> None:
        """Find out whether anybody reads, while there is nothing to write.

        Raises:
            BrokenPipeError: Nobody does.
        """
        poll = select.poll()
        poll.register(self._lines.fileno(), 0)  # errors are told unasked
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise BrokenPipeError

    def close(self) -> None:
        """Have the interpreter not complain at its end of what it could not write.

        The way that Python's documentation of `signal` recommends, in its note on SIGPIPE.
        """
        self.closed = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._lines.fileno())
        os.close(nowhere)
