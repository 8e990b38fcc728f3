"""When to say that ordered units of a pool are missing, more or fewer than was said before.

It is said when nothing else is due: orders whose units are missing get those of other lots first.
Only then it is a shortfall, that somebody has to hear of.
"""

from allocator.domain.pool import Pool
from allocator.domain.reconciling import ShortfallChanged
from allocator.domain.stand_ins import owed


def is_due(pool: Pool) -> bool:
    """Say whether other units are missing than was said."""
    fed = pool.fed
    return fed is not None and (fed.short or fed.told) > 0 and owed(pool) != fed.told


def news(pool: Pool) -> tuple[ShortfallChanged, ...]:
    """Return what is to be said, if anything is."""
    if pool.fed is None or not is_due(pool):
        return ()
    return (ShortfallChanged(before=pool.fed.told, short=owed(pool)),)


def evolve(pool: Pool, event: ShortfallChanged) -> None:
    """Know that it was said; it is said of pools that were fed some time."""
    assert pool.fed is not None, "it was attached"
    pool.fed.told = event.short


def unlawful(pool: Pool, event: ShortfallChanged) -> str:
    """Say why it cannot be said, or nothing."""
    told = 0 if pool.fed is None else pool.fed.told
    if event.before != told or event.short == told:
        return f"{event.short} instead of {event.before} are said to be missing, after {told} were"
    if event.short != owed(pool):
        return f"{event.short} are said to be missing, and it is {owed(pool)}"
    return ""
