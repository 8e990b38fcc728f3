"""What a run of a warehouse system (WMS) would change, for whoever asks."""

import asyncio
import time
from typing import Final

from allocator.domain.feeds import FeedNotOn
from allocator.domain.queries import FeedQuery
from allocator.errors import UnavailableError
from allocator.feeding.dry_runs import Comparison
from allocator.feeding.ports import Standing
from allocator.http.answers import JsonAnswer, PatientAnswer
from allocator.http.context import Context
from allocator.http.feed_shapes import ShownDifference, ShownDryRun
from allocator.http.problems import ProblemError
from allocator.http.reconciliations import appeared, explanation
from allocator.http.refusals import problem_for

WAIT_MAX_S: Final = 50.0
_LOOK_EVERY_S: Final = 0.1


async def dry_run(context: Context, standing: Standing) -> JsonAnswer:
    """Answer what a run would change, as soon as that is known.

    Raises:
        ProblemError: 409, the feed is not on.
        UnavailableError: It takes longer; a repeat waits for the same answer.
    """
    seen = await context.asker.look(standing.actor_id, FeedQuery())
    if seen.feed is None or seen.feed.status != "on":
        status = "" if seen.feed is None else seen.feed.status or ""
        raise ProblemError(problem_for(FeedNotOn(status=status)))
    opened, until_s = time.perf_counter(), time.monotonic() + WAIT_MAX_S
    feed = standing.actor_id
    asked_ms = await context.dry_runs.ask(feed, at_ms=context.clock())
    context.feeds.knock(feed)
    while (found := await context.dry_runs.answer(feed, asked_ms=asked_ms)) is None:
        if time.monotonic() > until_s:
            raise UnavailableError(reason="the WMS has not said everything yet")
        await asyncio.sleep(_LOOK_EVERY_S)
    return PatientAnswer(_shape(found), opened=opened)


def _shape(found: Comparison) -> ShownDryRun:
    return ShownDryRun(
        failure=found.failure,
        as_of=found.as_of,
        applied_through=found.applied_through,
        batches=found.batches,
        products=found.products,
        differences=found.differences,
        more=found.more,
        fewer=found.fewer,
        shortfall=found.short,
        unknown=found.unknown,
        items=[
            ShownDifference(
                product=each.product,
                batch=each.event.code,
                orderable=each.event.orderable,
                applied=each.event.applied,
                counted=each.event.before,
                change=appeared(each.event),
                available=each.event.available,
                shortfall=each.event.short,
                explanation=explanation(each.event),
            )
            for each in found.found
        ],
    )
