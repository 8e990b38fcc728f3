"""The read model of ticket options, held to the first event of one pool."""

from collections.abc import Sequence

from allocator.domain.messages import TicketOptionOpened
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import Read
from allocator.persistence.windows import Row

_COLUMNS = ("option_name", "option_description", "option_allocation", "option_created_at")


def compare_option(first: Sequence[Read], actor: Row, *, subject: Subject) -> None:
    """Compare what is said of an actor as a ticket option with its first event.

    Args:
        first: The events that were read with `actor`, which begin with the actor's first; empty
            if there is none.
        actor: What was known of it at that moment.
        subject: What is wrong is noted there.
    """
    expected: tuple[object, ...] | None = None
    if first:
        _, at_ms, event = first[0]
        if isinstance(event, TicketOptionOpened) and actor["version"]:
            expected = (event.name, event.desc, event.allocation, at_ms)
    found = tuple(actor[column] for column in _COLUMNS) if actor["is_option"] else None
    if found != expected:
        subject.is_wrong(
            "ticket_option",
            "the ticket option is not as it was opened",
            table="ticket_options",
            seq=1,
            expected=expected,
            found=found,
        )
