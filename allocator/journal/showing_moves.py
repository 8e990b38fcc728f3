"""What a move asked of its two places, between its own rows."""

from collections.abc import Sequence
from typing import Final

from allocator.domain.moves import Move
from allocator.journal.happenings import Happening, Place, meaning_of, place_of
from allocator.persistence.history import History

_ORDER: Final = (
    "move_requested",
    "product_expected",
    "move_expected",
    "units_sent",
    "send_refused",
    "move_sent",
    "units_taken",
    "move_done",
    "move_refused",
    "process_let_go",
    "move_ended",
)
"""In which each is the cause of what follows; clocks of two workers may tell another one."""


async def errands_of(
    history: History, actor_id: int, move: Move, own: Sequence[Happening]
) -> list[Happening]:
    """Return a move's rows, and those of the two places that are about it, in their order.

    Args:
        history: Where they are.
        actor_id: The move.
        move: As its rows say, up to the first damaged one.
        own: They.
    """
    if move.request is None:
        return list(own)
    found = list(own)
    for place_id in (move.request.source, move.request.destination):
        rows = await history.asked_by(
            actor_id,
            place_id,
            from_ms=move.requested_at_ms,
            to_ms=move.last_at_ms if move.ended else None,
        )
        place = Place.of(await history.key_of(place_id) or "")
        found += [
            Happening(place=place_of(place, row), record=row, meaning=meaning_of(row))
            for row in rows
        ]
    return sorted(found, key=_rank)


def _rank(happening: Happening) -> int:
    kind = happening.record.kind
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
