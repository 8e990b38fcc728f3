"""What was found different between warehouse systems and us, and what came of it."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from allocator.domain.reconciling import LotReconciled

ENDLESS: Final = (1 << 63) - 1


class Place(msgspec.Struct, frozen=True):
    """Where a reconciliation stands among those of its feed: later ones are greater."""

    at_ms: int
    actor_id: int
    seq: int


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of which the WMS had another count than we."""

    place: Place
    product: str
    event: LotReconciled


class History(Protocol):
    """Where they are kept: in the journal."""

    async def reconciliations(
        self, feed: int, *, before: Place | None, limit: int, pool: int | None
    ) -> Sequence[Reconciliation]:
        """Return those of a feed, or of one of its pools, the newest first.

        Raises:
            JournalError: The database does not answer.
        """
        ...
