"""Polls that leave for a warehouse system: once their event is stored, and in one life only.

Like a charge, a poll takes the place of a reply in the turn that carries its event; who is
recovered never asks again. A poll that never left is given up at its deadline.
"""

from typing import Protocol

from allocator.actors.messages import Answer
from allocator.domain.feeds import Poll


class Poller(Protocol):
    """Whoever asks warehouse systems."""

    def poll(self, actor_id: int, poll: Poll) -> None:
        """Have a feed's warehouse system be asked; returns at once, and never raises."""


class NoPoller:
    """Stands where nobody can be asked: the poll is given up at its deadline."""

    def poll(self, actor_id: int, poll: Poll) -> None:
        """Do nothing."""


class PollLeaving:
    """A poll that waits for its event to be stored, in the place of a reply."""

    __slots__ = ("_actor_id", "_poll", "_poller")

    def __init__(self, poller: Poller, actor_id: int, poll: Poll) -> None:
        self._poller = poller
        self._actor_id = actor_id
        self._poll = poll

    def done(self) -> bool:
        """Return whether nobody waits any more: somebody does."""
        return False

    def set_result(self, _answer: Answer, /) -> None:
        """Leave."""
        self._poller.poll(self._actor_id, self._poll)

    def set_exception(self, _error: Exception, /) -> None:
        """Stay: nobody can say whether what justifies it is stored."""
