"""Row O11: amounts in major units, as JSON numbers."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.domain.money import AMOUNT_MAX, charge_amount

DECIMALS = {"EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4}


@pytest.mark.parametrize(
    ("minor", "currency", "sent"),
    [
        (2 * 250, "EUR", b"5.0"),
        (1999, "EUR", b"19.99"),
        (0, "EUR", b"0.0"),
        (500, "JPY", b"500.0"),
        (500, "KWD", b"0.5"),
        (500, "CLF", b"0.05"),
        (500, "XXX", b"5.0"),
        (AMOUNT_MAX, "EUR", b"9999999999999.99"),
    ],
)
def test_an_amount_is_sent_in_major_units(minor: int, currency: str, sent: bytes) -> None:
    """O11."""
    assert msgspec.json.encode(charge_amount(minor, currency)) == sent


@given(minor=st.integers(0, AMOUNT_MAX), currency=st.sampled_from(sorted(DECIMALS)))
def test_no_cent_is_lost_on_the_way(minor: int, currency: str) -> None:
    sent = msgspec.json.encode(charge_amount(minor, currency)).decode()

    assert Decimal(sent) == Decimal(minor).scaleb(-DECIMALS[currency])
