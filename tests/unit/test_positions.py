"""Positions: ordered as the journal is, and the same after a trip through text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.domain.positions import START, Position, PositionError

POSITIONS = st.builds(
    Position,
    st.integers(0, 999_999_999),
    st.integers(0, (1 << 63) - 1),
    st.integers(0, (1 << 44) - 1),
    st.integers(0, (1 << 36) - 1),
)


@given(POSITIONS)
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    assert Position.of(str(position)) == position


@given(POSITIONS)
def test_nothing_stands_before_the_start(position: Position) -> None:
    assert position >= START


def test_an_era_counts_more_than_a_transaction_and_that_more_than_an_actor() -> None:
    ascending = [
        Position(1, 9, 9, 9),
        Position(2, 1, 9, 9),
        Position(2, 2, 1, 9),
        Position(2, 2, 2, 1),
        Position(2, 2, 2, 2),
    ]

    assert sorted(ascending[3:] + ascending[:3]) == ascending


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", "1.2.3.4\n", "-1.2.3.4", "1.2.3.x", "\uff11.2.3.4",
     "1.9223372036854775808.1.1", "1.2.3." + "4" * 19],
)  # fmt: skip
def test_another_text_is_no_position(text: str) -> None:
    with pytest.raises(PositionError, match=r"is not a position, like 1\.7482\.27136\.5"):
        Position.of(text)
