"""What is compared of moves: their rows, and those that the read model has of them."""

from typing import Final

import msgspec

from allocator.domain.laws import unlawful_of_move
from allocator.domain.moves import Move, Reason
from allocator.domain.rows import MoveRow
from allocator.domain.transfers import Transfer
from allocator.journal.verify.processes import Sort
from allocator.persistence.windows import Row

_decode_lots: Final = msgspec.json.Decoder(tuple[Transfer, ...]).decode
_decode_reason: Final = msgspec.json.Decoder(Reason).decode


def _expected(actor_id: int, move: Move) -> object:
    return MoveRow.of(actor_id, move), move.ended


def _found(actor: Row) -> object:
    return _row_of(actor), actor["ended"]


def _is_listed(actor: Row) -> bool:
    return bool(actor["is_move"])


MOVES: Final = Sort(
    kind="move",
    fault="move",
    table="moves",
    is_listed=_is_listed,
    unlawful=unlawful_of_move,
    expected=_expected,
    found=_found,
)


def _row_of(actor: Row) -> MoveRow | None:
    """Return the row of `moves`; None if it holds what no move can be."""
    try:
        lots = _decode_lots(actor["lots"])
        reason = None if actor["reason"] is None else _decode_reason(actor["reason"])
    except msgspec.MsgspecError:
        return None
    return MoveRow(
        actor_id=actor["id"],
        product=actor["move_product"],
        from_code=actor["from_code"],
        to_code=actor["to_code"],
        quantity=actor["quantity"],
        status=actor["status"],
        requested_at_ms=actor["requested_at"],
        decided_at_ms=actor["decided_at"],
        lots=lots,
        reason=reason,
    )
