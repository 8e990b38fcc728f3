"""What lies behind a cut of a journal."""

from collections.abc import Sequence
from typing import Final

import msgspec

from allocator.persistence.connections import Executor
from allocator.persistence.cuts import Cut
from allocator.persistence.statements import statement

_DISPATCHED_MAX: Final = 1_000


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one kind that somebody asked for."""

    kind: str
    principal: str
    events: int
    first_at_ms: int
    last_at_ms: int


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """What happened after a cut.

    Attributes:
        happened: By kind and principal.
        dispatched: Addresses (actor id, seq) of orders that were open at the cut and have been
            dispatched since, a thousand at most.
        dispatched_total: How many there are.
        revoked: Names of API keys that were not revoked at the cut, and are.
    """

    happened: Sequence[Happened]
    dispatched: Sequence[tuple[int, int]]
    dispatched_total: int
    revoked: Sequence[str]


async def behind(connection: Executor, cut: Cut) -> Behind:
    """Return what lies behind a cut; it reads every row of that."""
    moment = (cut.era, str(cut.xid))
    happened = await connection.fetch(statement("after_cut"), *moment)
    dispatched = await connection.fetch(statement("dispatched_since"), *moment, _DISPATCHED_MAX)
    revoked = await connection.fetch(statement("revoked_since"), *moment)
    return Behind(
        happened=[
            Happened(
                kind=row["kind"],
                principal=row["principal"],
                events=row["events"],
                first_at_ms=row["first_at"],
                last_at_ms=row["last_at"],
            )
            for row in happened
        ],
        dispatched=[(row["actor_id"], row["seq"]) for row in dispatched],
        dispatched_total=dispatched[0]["total"] if dispatched else 0,
        revoked=[row["name"] for row in revoked],
    )
