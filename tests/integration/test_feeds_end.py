"""A feed that was deleted ends when all products have let go of it; one that cannot is named."""

import pytest
from structlog.testing import capture_logs

from allocator.client.feeds_in_words import feed_in_words
from allocator.feeding import ending
from tests.integration.shop import database, opened, until
from tests.integration.test_feeds_restored import (
    NATURE,
    has_ended,
    shown,
    traded,
)
from tests.integration.wms import simulated

OF = "actor_id = (SELECT actor_id FROM pools WHERE product = $1)"
DAMAGE = f"UPDATE journal SET kind = 'x' || kind WHERE seq = 2 AND {OF}"
MEND = f"UPDATE journal SET kind = substr(kind, 2) WHERE seq = 2 AND {OF}"
FORGET = f"DELETE FROM snapshots WHERE {OF}"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds end soon after they were deleted."""
    monkeypatch.setattr(ending, "LINGER_MS", 500)


async def test_a_product_that_cannot_let_go_of_a_feed_is_named_and_the_feed_ends_when_it_is_mended(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_AGAIN_MIN_MS", 50)
    async with simulated(NATURE) as (simulator, url):
        async with opened(database_url) as shop:
            await traded(shop, simulator, url)
        async with database(database_url) as connection:
            await connection.execute(FORGET, shop.product)
            await connection.execute(DAMAGE, shop.product)

        async with opened(database_url) as later:
            later.warehouse, later.product = shop.warehouse, shop.product
            with capture_logs() as logs:
                path = f"/wms/feeds/{shop.warehouse}"
                assert (await later.send("DELETE", path)).status == 202

                async def is_named() -> bool:
                    error = (await shown(later)).last_error or ""
                    return error.startswith(
                        f"product {shop.product} cannot let go of the feed: actor"
                    )

                async def is_asked_again() -> bool:
                    kept = [each for each in logs if each["event"] == "wms.feed_kept"]
                    return len(kept) > 1 and kept[-1]["product"] == shop.product

                await until(is_named)
                await until(is_asked_again)
            feed = await shown(later)
            assert feed.status == "deleted"
            assert f"trouble     {feed.last_error}" in feed_in_words(feed)

        async with database(database_url) as connection:
            await connection.execute(MEND, shop.product)
        async with opened(database_url) as mended:
            mended.warehouse, mended.product = shop.warehouse, shop.product
            await has_ended(mended)

            assert (await shown(mended)).last_error is None
