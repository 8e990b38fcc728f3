"""Of which pools a feed cannot say whether they may yet hear what they were asked before."""

from allocator.domain.reconciling import STATEMENT_STALE_MS
from allocator.errors import AllocatorError, OutcomeUnknownError, UnavailableError
from allocator.feeding.turns import Turns

NEAR, FAR = 1, 2


class _Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def turns_by(clock: _Clock) -> Turns:
    return Turns(is_near=lambda actor_id: actor_id == NEAR, clock=clock)


def ask(turns: Turns, actor_id: int, *, fails: AllocatorError | None = None) -> None:
    """Ask a pool, which answers, or of which nothing is known but an error."""
    try:
        with turns.asking(actor_id):
            if fails is not None:
                raise fails
    except AllocatorError as error:
        assert error is fails  # noqa: PT017 (the context lets it pass)


def test_a_pool_that_has_answered_can_be_asked_again() -> None:
    turns = turns_by(_Clock())

    ask(turns, FAR)

    assert not turns.is_in_doubt(FAR)


def test_a_pool_is_in_doubt_while_it_is_asked() -> None:
    turns = turns_by(_Clock())

    with turns.asking(FAR):
        assert turns.in_doubt() == [FAR]


def test_a_pool_that_did_not_answer_is_in_doubt_until_it_calls_that_stale() -> None:
    clock = _Clock()
    turns = turns_by(clock)

    ask(turns, FAR, fails=OutcomeUnknownError())
    clock.now_ms += STATEMENT_STALE_MS

    assert turns.is_in_doubt(FAR)
    clock.now_ms += 1
    assert not turns.is_in_doubt(FAR)


def test_a_pool_that_was_not_reached_is_not_in_doubt() -> None:
    turns = turns_by(_Clock())

    ask(turns, FAR, fails=UnavailableError(reason="nobody has it"))

    assert not turns.is_in_doubt(FAR)


def test_a_pool_of_this_worker_that_failed_has_let_go_of_what_it_was_asked() -> None:
    turns = turns_by(_Clock())

    ask(turns, NEAR, fails=OutcomeUnknownError())

    assert not turns.is_in_doubt(NEAR)


def test_an_answer_to_one_ask_does_not_settle_another_that_may_yet_be_heard() -> None:
    turns = turns_by(_Clock())

    ask(turns, FAR, fails=OutcomeUnknownError())
    ask(turns, FAR)

    assert turns.is_in_doubt(FAR)
