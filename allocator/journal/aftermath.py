"""What lies behind a cut: what a restore to it takes back, and what nobody can."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from allocator.domain.ids import IdSeal
from allocator.journal.times import time_of
from allocator.persistence.behind import Behind

_NAMED_MAX: Final = 10

OUTSIDE: Final = {
    "order_dispatched": "goods have left the warehouse",
    "order_partly_dispatched": "goods have left the warehouse",
    "checkout_begun": "a payment provider may have taken money: look at its list of charges",
    "stock_received": "goods have arrived: receive them again",
    "move_done": "goods have been carried to another place: move them again",
}
"""Kinds of events that something outside of the database stands for, and what."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a restore does not rewind."""

    kind: str
    events: int
    what: str


class Aftermath(msgspec.Struct, frozen=True, kw_only=True):
    """What lies behind a cut.

    Attributes:
        principals: Events by who asked for them; '' for nobody in particular.
        dispatched_again: Ids of orders that are open at the cut, and have been dispatched since.
        dispatched_again_total: How many there are; only the first thousand are listed.
        revoked: API keys that have been revoked since, and stay so.
    """

    events: int
    kinds: dict[str, int]
    principals: dict[str, int]
    first_at: datetime | None
    last_at: datetime | None
    outside: list[Outside]
    dispatched_again: list[str]
    dispatched_again_total: int
    revoked: list[str]


def aftermath_of(behind: Behind, *, id_secret: bytes) -> Aftermath:
    """Return what operators want to know of it."""
    ids = IdSeal(id_secret)
    kinds, principals = Counter[str](), Counter[str]()
    for happened in behind.happened:
        kinds[happened.kind] += happened.events
        principals[happened.principal] += happened.events
    return Aftermath(
        events=kinds.total(),
        kinds=dict(kinds.most_common()),
        principals=dict(principals.most_common()),
        first_at=_time(min((each.first_at_ms for each in behind.happened), default=None)),
        last_at=_time(max((each.last_at_ms for each in behind.happened), default=None)),
        outside=[
            Outside(kind=kind, events=kinds[kind], what=what)
            for kind, what in OUTSIDE.items()
            if kinds[kind]
        ],
        dispatched_again=[ids.seal(*address) for address in behind.dispatched],
        dispatched_again_total=behind.dispatched_total,
        revoked=list(behind.revoked),
    )


def in_words(aftermath: Aftermath) -> list[str]:
    """Return it as people read it, a line each."""
    if not aftermath.events:
        return ["nothing lies behind it"]
    span = f"from {_text(aftermath.first_at)} to {_text(aftermath.last_at)}"
    asked = {who or "nobody in particular": events for who, events in aftermath.principals.items()}
    return [
        f"behind it lie {aftermath.events:,} events, {span}: {_counted(aftermath.kinds)}",
        f"asked for by: {_counted(asked)}",
        *(
            f"cannot be rewound: {outside.events:,} {outside.kind}: {outside.what}"
            for outside in aftermath.outside
        ),
        *_dispatched_again(aftermath),
        *([f"revoked since, and still: {_listed(aftermath.revoked)}"] if aftermath.revoked else []),
        "listeners have heard of them, and ids given out since will stand for other things",
    ]


def _dispatched_again(aftermath: Aftermath) -> list[str]:
    total = aftermath.dispatched_again_total
    if not total:
        return []
    named = _listed(aftermath.dispatched_again)
    more = f" and {total - _NAMED_MAX:,} more, see --json" if total > _NAMED_MAX else ""
    return [f"open again though dispatched since, so dispatch them: {named}{more}"]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED_MAX])


def _counted(counts: dict[str, int]) -> str:
    named = [f"{name} {count:,}" for name, count in [*counts.items()][:_NAMED_MAX]]
    more = len(counts) - _NAMED_MAX
    if more > 0:
        named.append(f"and {more:,} more")
    return ", ".join(named)


def _time(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else time_of(at_ms)


def _text(at: datetime | None) -> str:
    return "" if at is None else at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
