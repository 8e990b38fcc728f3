"""The types of problems that adjustments have, and those that they leave to others."""

from typing import Final

from allocator.domain.adjustments import FlaggedUnits, InsufficientUnits, VersionPassed
from allocator.http.problems import version_required
from allocator.http.reference.problem_type import ProblemType
from allocator.http.refusals import problem_for

ADJUSTMENT_PROBLEMS: Final = (
    ProblemType(
        example=problem_for(InsufficientUnits(state="available", requested=5, available=3)),
        instance="/adjustments",
        meaning="Fewer units are in the state than were to leave it, of the stock if one is "
        "named. Or more were to be `expired`, which units become by themselves. Nothing changed.",
        remedy="Read the balance, and adjust what is there. What is ordered or held can only be "
        "recalled, of a `stock` that is named.",
        facts={
            "state": "that units were to leave",
            "requested": "units that were to",
            "available": "units that could",
        },
    ),
    ProblemType(
        example=problem_for(FlaggedUnits(order=1, lot=1, requested=2, available=0)),
        instance="/orders/813f74ad-5f45-8f78-982c-5bc8016c96f7/dispatch",
        meaning="Units of the order are of a stock that was recalled, and there are no others for "
        "it yet. Nothing left, and the order keeps its place.",
        remedy="Receive stock, which such orders get before others do, or release what was "
        "recalled; then repeat the request. Or dispatch other parts of the order.",
        facts={
            "requested": "units of the stock that were to leave",
            "available": "units of it that could",
        },
    ),
    ProblemType(
        example=problem_for(VersionPassed(version=7)),
        instance="/stock-balances/main/tea-01/available",
        meaning="Something has happened since the balance was read whose `ETag` is in `If-Match`. "
        "Nothing was set.",
        remedy="Read the balance again, and decide anew.",
        facts={"version": "the version by now"},
    ),
    ProblemType(
        example=version_required(),
        instance="/stock-balances/main/tea-01/available",
        meaning="An absolute quantity was to be set without `If-Match`: nobody could tell whether "
        "it was meant for the balance as it is now. Nothing was set.",
        remedy="Read the balance, and send its `ETag` as `If-Match`.",
    ),
)
