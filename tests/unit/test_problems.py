"""Problems: every refusal and every error as a client is told."""

from http import HTTPStatus

import msgspec
import pytest
from aiohttp import web

from allocator.actors.messages import KeyReused
from allocator.domain.messages import (
    AlreadyExpired,
    InsufficientStock,
    OrderNotOpen,
    Refusal,
)
from allocator.errors import (
    AllocatorError,
    BrokenRuleError,
    FencedError,
    JournalError,
    OutcomeUnknownError,
    OverloadedError,
    QuarantinedError,
    UnavailableError,
)
from allocator.http.problems import Problem, answer, method_not_allowed, problem_of, problem_of_http
from allocator.http.refusals import problem_for


@pytest.mark.parametrize(
    ("refusal", "status", "kind", "facts"),
    [
        (
            InsufficientStock(requested=5, available=3),
            409,
            "insufficient-stock",
            {"requested": 5, "available": 3},
        ),
        (OrderNotOpen(order=7), 409, "order-not-open", {}),
        (AlreadyExpired(expires_at_ms=1, now_ms=2), 422, "invalid-request", {}),
        (KeyReused(key="k"), 422, "key-reused", {"idempotency_key": "k"}),
    ],
)
def test_a_refusal_has_a_type_a_status_and_its_facts(
    refusal: Refusal | KeyReused, status: int, kind: str, facts: dict[str, object]
) -> None:
    """C17: clear responses."""
    problem = problem_for(refusal)

    assert (problem.status, problem.type, problem.facts) == (status, kind, facts)
    assert problem.title
    assert problem.detail


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (OutcomeUnknownError(), 503, "try-again"),
        (UnavailableError(reason="the server is stopping"), 503, "try-again"),
        (JournalError("PostgreSQL: away"), 503, "try-again"),
        (FencedError(incarnation="1"), 503, "try-again"),
        (OverloadedError(whose="server", limit=9), 503, "overloaded"),
        (QuarantinedError(actor_id=1, why="a gap"), 500, "internal"),
        (BrokenRuleError(actor_id=1), 500, "internal"),
    ],
)
def test_an_error_says_whether_it_is_worth_trying_again(
    error: AllocatorError, status: int, kind: str
) -> None:
    problem = problem_of(error)
    headers = wire_headers(problem)

    assert (problem.status, problem.type) == (status, kind)
    assert ("Retry-After" in headers) == (status == 503) == error.retryable


def test_an_unknown_outcome_says_how_to_find_out() -> None:
    assert "same Idempotency-Key" in problem_of(OutcomeUnknownError()).detail


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2), 413, "content-too-large"),
        (web.HTTPUnsupportedMediaType(text="no"), 415, "unsupported-media-type"),
    ],
)
def test_a_type_is_the_same_on_every_python(
    error: web.HTTPException, status: int, kind: str
) -> None:
    """The phrases of HTTPStatus are not: 413 has another one since 3.13."""
    problem = problem_of_http(error)

    assert (problem.status, problem.type) == (status, kind)


def test_a_problem_is_an_object_of_rfc_9457() -> None:
    problem = Problem(
        type="some-kind",
        title="Some kind",
        status=HTTPStatus.CONFLICT,
        detail="it is so",
        facts={"requested": 2},
    )

    assert problem.members(instance="/orders") == {
        "type": "/problems/some-kind",
        "title": "Some kind",
        "status": 409,
        "detail": "it is so",
        "instance": "/orders",
        "requested": 2,
    }
    assert "instance" not in problem.members(instance=None)
    assert msgspec.json.decode(msgspec.json.encode(problem.members(instance="/")))["status"] == 409


def test_the_methods_that_a_route_knows_are_named_in_order() -> None:
    problem = method_not_allowed(frozenset({"PUT", "GET", "HEAD"}))

    assert wire_headers(problem)["Allow"] == "GET, HEAD, PUT"
    assert problem.detail == "this route knows GET, HEAD, PUT"


def wire_headers(problem: Problem) -> dict[str, str]:
    """The headers that an answer with this problem has of its own."""
    head = answer(problem, instance="/")._whole().decode().partition("\r\n\r\n")[0]  # noqa: SLF001
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
