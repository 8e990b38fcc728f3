"""What is listed of orders that got other lots, held to the events of one pool."""

from collections.abc import Sequence
from hashlib import md5

from allocator.domain.adjustments import OrderRepicked
from allocator.domain.values import Picks
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import Read
from allocator.persistence.windows import Row


class RepicksAudit:
    """Holds the rows of `repicks` of one pool to its journal.

    There may be a row for each of a hundred thousand orders. So they are compared together, by a
    digest that the database makes of those that it has.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._digest = md5(usedforsecurity=False)
        self._is_empty = True
        self._waiting: list[tuple[int, str]] = []

    def take(self, reads: Sequence[Read], *, version: int) -> None:
        """Take the next events; the read models had come to `version`, and come on."""
        self._waiting += [
            (seq, _text_of(seq, event)) for seq, _, event in reads if type(event) is OrderRepicked
        ]
        seen = [text for seq, text in self._waiting if seq <= version]
        self._waiting = self._waiting[len(seen) :]
        for text in seen:
            self._digest.update(text.encode() if self._is_empty else b"\n" + text.encode())
            self._is_empty = False

    def end(self, actor: Row) -> None:
        """Compare, when all events up to the version of `actor` were taken."""
        expected = None if self._is_empty else self._digest.hexdigest()
        if actor["repicks"] != expected:
            message = "what is listed of its orders that got other lots says something else"
            self._subject.is_wrong("order", message, table="repicks")


def _text_of(seq: int, event: OrderRepicked) -> str:
    """Return a row as `verify_actors` spells it."""
    return f"{seq} {event.order} {_picks(event.returned)} {_picks(event.added)}"


def _picks(picks: Picks) -> str:
    return "[" + ", ".join(f"[{lot}, {units}]" for lot, units in picks) + "]"
