"""The oracle knows what becomes of units that are counted, broken and recalled (rows N7 and N9)."""

from collections.abc import Callable

import pytest

from allocator.actors.messages import Outcome
from allocator.domain.adjustments import (
    Adjust,
    FlaggedUnits,
    InsufficientUnits,
    OrderRepicked,
    SetState,
    UnitsAdjusted,
    UnitsRecalled,
    UnknownLot,
    VersionPassed,
)
from allocator.domain.messages import CancelOrder, DispatchOrder
from allocator.domain.pool import Balance
from allocator.domain.queries import BalanceQuery, LotQuery, OpenOrderQuery, View
from allocator.simulation.oracle import judge, law_of
from tests.builders import ACTOR, place, receive
from tests.simulation.stories import Story

BROKEN = "broken"
RECALL = "recall"


def adjust(
    source: str | None, target: str | None, quantity: int | None, *, lot: int | None = None
) -> Adjust:
    """Return an adjustment whose reason is nobody else's."""
    reason = f"{source} {target} {quantity} {lot}"
    return Adjust(source=source, target=target, quantity=quantity, lot=lot, reason=reason)


def a_day() -> Story:
    """Return a story in which lots break, are recalled, and counted."""
    story = Story()
    story.ask(receive(5))  # seq 1
    story.ask(place(3))  # seq 2
    story.ask(adjust("available", "damaged", 1))  # seq 3
    story.ask(adjust("available", "quarantined", None, lot=1))  # seq 4: one at once, three owed
    story.ask(OpenOrderQuery(2))  # flagged
    story.ask(LotQuery(1))
    story.ask(DispatchOrder(order=2))  # refused
    story.ask(adjust("available", None, 9))  # refused
    story.ask(adjust("damaged", "available", 4, lot=1))  # refused
    story.ask(adjust("damaged", None, 1, lot=77))  # refused
    story.ask(receive(2), key="more")  # seq 5
    story.ask(BalanceQuery())  # seqs 6 and 7: the order gets two others, which the lot pays
    story.ask(OpenOrderQuery(2))
    story.ask(adjust(None, "available", 2))  # seq 8
    story.ask(OpenOrderQuery(2))  # seqs 9 and 10: and the last one
    story.ask(DispatchOrder(order=2))  # seq 11
    story.ask(SetState(state="available", quantity=4, version=3, reason="count"))  # refused
    story.ask(SetState(state="available", quantity=4, version=11, reason="another"))  # seq 12
    story.ask(adjust("quarantined", None, 4))  # seq 13
    story.ask(adjust("damaged", None, 1))  # seq 14
    story.ask(LotQuery(1))  # gone
    story.ask(BalanceQuery())
    return story


def laws_broken(story: Story) -> set[str]:
    return {law_of(failure) for failure in judge(story.evidence(), searched=9)}


def heard(story: Story, number: int) -> object:
    return story.operations[number].attempts[0].answer


def test_what_is_right_breaks_no_law() -> None:
    story = a_day()

    assert judge(story.evidence(), searched=9) == []
    assert heard(story, 6) == FlaggedUnits(order=2, lot=1, requested=3, available=0)
    assert heard(story, 7) == InsufficientUnits(state="available", requested=9, available=0)
    assert heard(story, 9) == UnknownLot(lot=77)
    assert heard(story, 16) == VersionPassed(version=11)
    assert isinstance(heard(story, 15), Outcome)
    last = heard(story, -1)
    assert isinstance(last, View)
    assert last.balance == Balance(version=14, available=4, ordered=0, held=0, expired=0)


def units_are_found_that_were_said_to_be_broken(story: Story) -> None:
    story.bend(
        3, UnitsAdjusted(changes=((1, None, "damaged", 1),), reason="available damaged 1 None")
    )


def units_are_recalled_that_nobody_had(story: Story) -> None:
    event = story.event(ACTOR, 4)
    assert isinstance(event, UnitsAdjusted)
    story.bend(
        4,
        UnitsAdjusted(
            changes=event.changes, recalled=((1, "quarantined", 9),), reason=event.reason
        ),
    )


def others_come_first(story: Story) -> None:
    story.rows[ACTOR][5:7] = []


def an_order_gets_more_than_it_gives(story: Story) -> None:
    story.bend(6, OrderRepicked(order=2, returned=((1, 1),), added=((5, 2),)))


def a_lot_pays_more_than_it_owes(story: Story) -> None:
    story.bend(7, UnitsRecalled(lot=1, state="quarantined", quantity=4))


def a_lot_pays_to_another_state(story: Story) -> None:
    story.bend(7, UnitsRecalled(lot=1, state="damaged", quantity=2))


@pytest.mark.parametrize(
    ("bend", "law"),
    [
        (units_are_found_that_were_said_to_be_broken, "every row is what the rules decide"),
        (units_are_recalled_that_nobody_had, "no unit is sold twice or lost"),
        (others_come_first, "rows have no gap and can be read"),
        (an_order_gets_more_than_it_gives, "no unit is sold twice or lost"),
        (a_lot_pays_more_than_it_owes, "no unit is sold twice or lost"),
        (a_lot_pays_to_another_state, "every row is what the rules decide"),
    ],
)
def test_what_is_wrong_breaks_its_law(bend: Callable[[Story], None], law: str) -> None:
    story = a_day()
    bend(story)

    assert law in laws_broken(story)


def test_a_row_that_nobody_asked_for_is_named() -> None:
    story = a_day()
    del story.operations[2]

    assert "every row is somebodys" in laws_broken(story)


@pytest.mark.parametrize("number", [4, 5, 6, 7, 8, 9, 12, 16])
def test_an_answer_that_was_not_true_is_named(number: int) -> None:
    story, other = a_day(), a_day()
    lies: dict[int, object] = {
        4: View(picks=((1, 3),)),  # as if it were not flagged
        5: heard(other, 20),
        6: FlaggedUnits(order=2, lot=1, requested=3, available=1),
        7: InsufficientUnits(state="available", requested=9, available=3),
        8: InsufficientUnits(state="damaged", requested=4, available=3),
        9: UnknownLot(lot=1),
        12: View(picks=((1, 3),), flagged=True, blocked=3),
        16: VersionPassed(version=99),
    }
    story.operations[number].attempts[0].answer = lies[number]  # type: ignore[assignment]

    assert laws_broken(story) & {
        "every answer was true when it was given",
        "no answer is outside the contract",
    }


def test_what_is_cancelled_of_a_recalled_lot_is_not_for_sale() -> None:
    story = Story()
    story.ask(receive(2))
    story.ask(place(2))
    story.ask(adjust("available", "damaged", None, lot=1))
    story.ask(CancelOrder(order=2))
    story.ask(place(1))

    assert judge(story.evidence(), searched=9) == []
