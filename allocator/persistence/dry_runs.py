"""What runs would change: asked for in one worker, and found out in another."""

from collections.abc import Sequence
from typing import Final

import msgspec

from allocator.feeding.dry_runs import LASTS_MAX_MS, Comparison
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

_WANTED: Final = "SELECT asked_at FROM wms_dry_runs WHERE feed = $1 AND answer IS NULL"
_ANSWER: Final = "SELECT answer FROM wms_dry_runs WHERE feed = $1 AND asked_at >= $2"
"""That of who has asked later is as good: it has taken the place of ours."""
_TELL: Final = "UPDATE wms_dry_runs SET answer = $3::json WHERE feed = $1 AND asked_at = $2"
_KNOWN: Final = "SELECT sku FROM products WHERE sku = ANY ($1::text[])"

_decode: Final = msgspec.json.Decoder(Comparison).decode


class PostgresDryRuns:
    """They in PostgreSQL. Every method raises `JournalError` when that does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def ask(self, feed: int, *, at_ms: int) -> int:
        """Have it be found out; return when it was asked for, perhaps by somebody else before."""
        name, since_ms = statement("wms_ask_dry_run"), at_ms - LASTS_MAX_MS
        async with borrowed(self._pool) as connection:
            return int(await connection.fetchval(name, feed, at_ms, since_ms))

    async def answer(self, feed: int, *, asked_ms: int) -> Comparison | None:
        """Return what was found out; None if nobody knows yet."""
        async with borrowed(self._pool) as connection:
            answer = await connection.fetchval(_ANSWER, feed, asked_ms)
        return None if answer is None else _decode(answer)

    async def wanted(self, feed: int) -> int | None:
        """Return when something was asked for that is not answered; None if nothing is."""
        async with borrowed(self._pool) as connection:
            asked_ms = await connection.fetchval(_WANTED, feed)
        return None if asked_ms is None else int(asked_ms)

    async def tell(self, feed: int, comparison: Comparison, *, asked_ms: int) -> None:
        """Answer what was asked for then."""
        answer = msgspec.json.encode(comparison).decode()
        async with borrowed(self._pool) as connection:
            await connection.execute(_TELL, feed, asked_ms, answer)

    async def pools(self, warehouse: str, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return pools of a warehouse and their products, in order."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_dry_run_pools"), warehouse, after, limit)
        return [(row["actor_id"], row["product"]) for row in rows]

    async def known(self, skus: Sequence[str]) -> frozenset[str]:
        """Return those of which there are products."""
        async with borrowed(self._pool) as connection:
            return frozenset(row["sku"] for row in await connection.fetch(_KNOWN, skus))
