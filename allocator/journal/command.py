"""The journal's commands: from flags to lines and an exit code."""

import asyncio
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Final

import msgspec

from allocator.domain.ids import IdSeal
from allocator.domain.positions import START, Position, PositionError
from allocator.errors import UsageError
from allocator.journal.following import Follower, Wish
from allocator.journal.happenings import KNOWN_KINDS
from allocator.journal.lines import in_json, in_words
from allocator.journal.output import Output
from allocator.journal.showing import find_subject, happenings
from allocator.journal.sources import database
from allocator.journal.times import parse_time
from allocator.persistence.history import open_history
from allocator.persistence.tail import Wanted

DONE: Final = 0
_BEGINNING: Final = "start"
"""What `--after` calls the place before the first row."""
_LAST: Final = 20


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Which database; neither means the usual data directory."""

    database_url: str | None
    data_dir: Path | None


class TailFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What `journal tail` was asked for, as it was typed."""

    follow: bool
    product: str | None
    warehouse: str | None
    kinds: tuple[str, ...]
    since: str | None
    after: str | None
    limit: int | None
    as_json: bool


def run_tail(flags: TailFlags, source: Source) -> int:
    """Show the journal in the order in which it was committed; return the exit code.

    Raises:
        UsageError: A flag makes no sense, or there is no journal.
        JournalError: The database does not answer.
    """
    wish = _wish(flags, now_ms=time.time_ns() // 1_000_000)
    output = Output(sys.stdout, sys.stderr)
    with database(
        database_url=source.database_url, data_dir=source.data_dir, may_start=not flags.follow
    ) as url:
        follower = Follower(url, wish, output=output, words=in_json if flags.as_json else in_words)
        try:
            return _run(follower.run(), output)
        finally:
            if follower.reached is not None and not output.closed:
                output.warn(f"`--after {follower.reached}` goes on from here")


def run_show(asked: str, source: Source, *, as_json: bool) -> int:
    """Show everything that happened to an order, a stock or a pool; return the exit code.

    Raises:
        UsageError: `asked` is no id, or there is no journal.
        NotFoundError: There is no such thing.
        JournalError: The database does not answer.
    """
    output = Output(sys.stdout, sys.stderr)
    with database(database_url=source.database_url, data_dir=source.data_dir) as url:
        return _run(_show(asked, url, output=output, as_json=as_json), output)


async def _show(asked: str, url: str, *, output: Output, as_json: bool) -> None:
    words = in_json if as_json else in_words
    async with open_history(url) as history:
        ids = IdSeal(history.installation.id_secret)
        subject = await find_subject(history, asked)
        if subject.pruned_up_to:
            output.warn(f"the journal of {subject.place} is pruned up to #{subject.pruned_up_to}")
        async for happened in happenings(history, subject):
            output.show([words(happening, ids=ids) for happening in happened])


def _run(showing: Coroutine[None, None, None], output: Output) -> int:
    try:
        asyncio.run(showing)
    except BrokenPipeError:
        output.close()
    return DONE


def _wish(flags: TailFlags, *, now_ms: int) -> Wish:
    last = _LAST if flags.limit is None else flags.limit
    if flags.follow and flags.limit is not None:
        last = 0  # so many of what comes
    return Wish(
        wanted=Wanted(
            warehouse=flags.warehouse,
            product=flags.product,
            kinds=_kinds(flags.kinds),
            since_ms=None if flags.since is None else parse_time(flags.since, now_ms=now_ms),
        ),
        after=None if flags.after is None else _position(flags.after),
        last=last,
        limit=flags.limit,
        follow=flags.follow,
    )


def _kinds(kinds: tuple[str, ...]) -> tuple[str, ...] | None:
    for kind in kinds:
        if kind not in KNOWN_KINDS:
            raise UsageError(f"there is no kind {kind!r}; there are {', '.join(KNOWN_KINDS)}")
    return kinds or None


def _position(text: str) -> Position:
    if text == _BEGINNING:
        return START
    try:
        return Position.of(text)
    except PositionError as error:
        raise UsageError(
            f"{error}, as --json and the end of each run give it, nor is it {_BEGINNING!r}"
        ) from error
