"""Where a row stands in the order in which the whole journal was committed.

A position is for ever: whoever stores one can go on from it after any crash, take-over or restore.
"""

import re
from typing import Final, Self

import msgspec

_TEXT: Final = re.compile(r"(\d{1,9})\.(\d{1,19})\.(\d{1,18})\.(\d{1,18})\Z", re.ASCII)
_XID_MAX: Final = (1 << 63) - 1


class PositionError(ValueError):
    """A text that is no position; what `str` makes of one is."""

    def __init__(self, *, text: str) -> None:
        super().__init__(f"{text!r} is not a position, like 1.7482.27136.5")
        self.text = text


class Position(msgspec.Struct, frozen=True, order=True, gc=False):
    """The place of one row; greater means committed later, or told later.

    Attributes:
        era: The number of the cluster in which it was committed.
        xid: The transaction that did it; means nothing in another era.
        actor_id: Within a transaction, rows are told by actor.
        seq: Of the row within its actor.
    """

    era: int
    xid: int
    actor_id: int
    seq: int

    def __str__(self) -> str:
        return f"{self.era}.{self.xid}.{self.actor_id}.{self.seq}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the position that `str` spelled so.

        Raises:
            PositionError: It is none.
        """
        found = _TEXT.match(text)
        if found is None or int(found[2]) > _XID_MAX:
            raise PositionError(text=text)
        return cls(*map(int, found.groups()))


START: Final = Position(0, 0, 0, 0)
"""Before the first row of any journal."""
