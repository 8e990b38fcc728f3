"""What is compared of feeds: their rows alone, since no list has anything of them."""

from typing import Final

from allocator.domain.feeds import Feed
from allocator.domain.laws_of_feeds import unlawful_of_feed
from allocator.journal.verify.processes import Sort
from allocator.persistence.windows import Row


def _expected(_actor_id: int, _feed: Feed) -> None:
    return None


def _found(_actor: Row) -> None:
    return None


def _is_listed(_actor: Row) -> bool:
    return False


FEEDS: Final = Sort(
    kind="feed",
    fault="quarantine",
    table="actors",
    is_listed=_is_listed,
    unlawful=unlawful_of_feed,
    expected=_expected,
    found=_found,
)
