"""Feeds, as people read them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from allocator.http.feed_shapes import (
    ShownDryRun,
    ShownFeed,
    ShownPushes,
    ShownReconciliation,
    ShownRun,
)

_HEADINGS: Final = ("WAREHOUSE", "STATUS", "FROM", "LAST HEARD", "WAITING", "SHORTFALL", "TROUBLE")
_WIDTH: Final = 10


def begun_in_words(feed: ShownFeed, *, is_new: bool) -> str:
    """Return what came of having a warehouse be fed."""
    now = "is fed from now on" if is_new else "is fed"
    return f"{feed.warehouse} {now} by {feed.url}: {_asking(feed)}"


def feed_in_words(feed: ShownFeed) -> list[str]:
    """Return all that there is to say of a feed, a line each."""
    lines = [
        ("warehouse", feed.warehouse),
        ("status", _status(feed)),
        ("fed by", feed.url),
        ("limit", _asking(feed)),
        ("excludes", ", ".join(feed.excludes) or "nothing: it calls all that is there orderable"),
        ("heard", _heard(feed)),
        ("told", _told(feed.pushes)),
        ("waiting", _waiting(feed.pushes)),
        ("shortfall", _shortfall(feed)),
    ]
    if (trouble := _trouble(feed)) is not None:
        lines.append(("trouble", trouble))
    if feed.next_poll_at is not None:
        lines.append(("next poll", _text(feed.next_poll_at)))
    return [f"{name.ljust(_WIDTH)}  {text}" for name, text in lines]


def feeds_in_words(feeds: Sequence[ShownFeed]) -> list[str]:
    """Return a table of feeds."""
    rows = [_HEADINGS, *(_row_of(feed) for feed in feeds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def dry_run_in_words(found: ShownDryRun) -> list[str]:
    """Return what would change, a line a batch, and all together."""
    lines = [f"{each.product}, {_batch(each.batch)}: {each.explanation}" for each in found.items]
    if found.differences > len(found.items):
        lines.append(f"and {found.differences - len(found.items):,} batches more")
    if found.unknown:
        lines.append(f"there is no product {', '.join(found.unknown)}")
    batches = "1 batch" if found.batches == 1 else f"{found.batches:,} batches"
    lines.append(
        f"{batches}, as of {found.as_of}: {found.differences:,} "
        f"{'differs' if found.differences == 1 else 'differ'}; {found.more:,} more units, "
        f"{found.fewer:,} fewer, {found.shortfall:,} missing. Nothing has changed"
    )
    return lines


def reconciliation_in_words(row: ShownReconciliation) -> str:
    """Return of which batch the WMS had another count, and what came of it."""
    return f"{_text(row.at)}  {row.product}, {_batch(row.batch)}: {row.explanation}"


def _batch(batch: str | None) -> str:
    return "no batch" if batch is None else f"batch {batch}"


def _row_of(feed: ShownFeed) -> tuple[str, ...]:
    heard = feed.completed and feed.completed.ended_at
    return (
        feed.warehouse,
        feed.status,
        feed.url,
        _text(heard) if heard else "never",
        f"{feed.pushes.numbered - feed.pushes.acknowledged:,}",
        f"{feed.shortfall:,}",
        _trouble(feed) or "",
    )


def _asking(feed: ShownFeed) -> str:
    polled = f"polled every {feed.poll_s:g} s" if feed.poll_s else "not polled"
    burst = f", {feed.burst:,} at once after a quiet time" if feed.burst > 1 else ""
    return f"{polled}, asked {_times(feed.rate_per_s)} a second at most{burst}"


def _times(rate_per_s: float) -> str:
    return "once" if rate_per_s == 1 else f"{rate_per_s:g} times"


def _status(feed: ShownFeed) -> str:
    if feed.status == "deleted":
        return "deleted, and about to end as soon as nothing can be under way"
    return feed.status


def _heard(feed: ShownFeed) -> str:
    run = feed.completed
    if run is None:
        return "nothing complete yet" + _under_way(feed.run)
    batches = "1 batch" if run.lots == 1 else f"{run.lots:,} batches"
    products = "1 product" if run.differences == 1 else f"{run.differences:,} products"
    return (
        f"{batches}, as of {run.as_of}, by {_text(run.ended_at)}: "
        f"{products} changed{_under_way(feed.run)}"
    )


def _told(pushes: ShownPushes) -> str:
    return (
        f"up to push {pushes.acknowledged:,} of {pushes.numbered:,}; "
        f"its figures are up to {pushes.applied:,}"
    )


def _waiting(pushes: ShownPushes) -> str:
    return "nothing" if pushes.waiting_since is None else f"since {_text(pushes.waiting_since)}"


def _under_way(run: ShownRun | None) -> str:
    return "; a run is under way" if run is not None and run.ended_at is None else ""


def _shortfall(feed: ShownFeed) -> str:
    if not feed.shortfall:
        return "none"
    return f"{feed.shortfall:,} units that are promised are missing"


def _trouble(feed: ShownFeed) -> str | None:
    if feed.status == "deleted" or not feed.failures:  # it is not polled
        return feed.last_error
    polls = "1 poll" if feed.failures == 1 else f"{feed.failures:,} polls"
    return f"{polls} in vain: {feed.last_error}"


def _text(at: datetime | None) -> str:
    return "?" if at is None else at.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
