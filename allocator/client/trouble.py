"""Says that requests are repeated, but not for each of them."""

import time
from collections.abc import Callable
from typing import Final

TROUBLE_EVERY_S: Final = 5.0
"""Sixty-four clients of a dead server would otherwise say so many times a second."""


class Troubled:
    """Whoever has to tell that the server does not answer.

    Args:
        say: Writes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._quiet_until = 0.0

    def trouble(self, reason: str) -> None:
        """Tell that a request went unanswered and will be repeated, unless that was just told."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + TROUBLE_EVERY_S
            self._say(f"no answer yet ({reason}); repeating")
