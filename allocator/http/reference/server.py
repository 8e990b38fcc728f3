"""The operations for those who run the server, and for what reads about the API."""

from http import HTTPStatus
from typing import Final

import msgspec

from allocator.http.metrics import CONTENT_TYPE as METRICS
from allocator.http.reference.operation import Answer, Operation
from allocator.http.reference.problem_types import PROBLEM_TYPES, Explanation, explanation
from allocator.http.shapes import Health

HTML: Final = "text/html; charset=utf-8"

_OK: Final = HTTPStatus.OK

_HEALTH_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/healthz",
        name="get_health",
        tag="Operations",
        role="none",
        summary="Is the process alive?",
        meaning="Answered without asking anything else: restart the server if it is not.",
        answers=(
            Answer(status=_OK, meaning="It is", shape=Health, example=Health(status="alive")),
        ),
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="get_readiness",
        tag="Operations",
        role="none",
        summary="Does the server serve?",
        meaning="Send it no requests while it does not; it recovers by itself.",
        answers=(
            Answer(status=_OK, meaning="It does", shape=Health, example=Health(status="ready")),
            Answer(
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                meaning="It starts, repairs itself, waits for its database, or stops",
                shape=Health,
                example=Health(status="not ready"),
                headers=("Retry-After",),
            ),
        ),
    ),
    Operation(
        method="GET",
        path="/metrics",
        name="get_metrics",
        tag="Operations",
        role="any",
        summary="Metrics for Prometheus",
        meaning="Requests, commits, recoveries, actors in memory, and how far the read models "
        "are behind; the latter only while the database answers.",
        answers=(
            Answer(
                status=_OK,
                meaning="In the text format",
                shape=str,
                media_type=METRICS,
                example="# HELP allocator_requests_total Answers by HTTP status\n"
                "# TYPE allocator_requests_total counter\n"
                'allocator_requests_total{status="201"} 1042.0\n',
            ),
        ),
    ),
)

_DOCUMENT_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/openapi.json",
        name="get_openapi",
        tag="Operations",
        role="none",
        summary="This API as an OpenAPI document",
        meaning="Version 3.1, for what generates clients and tests.",
        answers=(Answer(status=_OK, meaning="The document", shape=dict[str, msgspec.Raw]),),
    ),
    Operation(
        method="GET",
        path="/docs",
        name="get_docs",
        tag="Operations",
        role="none",
        summary="This page",
        meaning="One file that needs nothing else: no network, no script for reading it.",
        answers=(Answer(status=_OK, meaning="The page", shape=str, media_type=HTML),),
    ),
    Operation(
        method="GET",
        path="/problems/{type}",
        name="get_problem_type",
        tag="Operations",
        role="none",
        summary="What a type of problem means",
        meaning="Every `type` of a problem is such a path. A browser, or whoever else accepts "
        "`text/html`, is sent to this page.",
        answers=(
            Answer(
                status=_OK,
                meaning="The explanation",
                shape=Explanation,
                example=explanation(PROBLEM_TYPES["try-again"]),
            ),
            Answer(
                status=HTTPStatus.FOUND,
                meaning="For those who accept HTML: where it is explained",
                headers=("Location",),
            ),
        ),
        problems=("not-found",),
    ),
)

SERVER_OPERATIONS: Final = (*_HEALTH_OPERATIONS, *_DOCUMENT_OPERATIONS)
