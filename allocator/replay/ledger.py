"""The sequential calculation: what one clerk with one book would arrive at.

It shares no code with the server, so that an error there cannot hide in the comparison.
"""

from collections.abc import Mapping

import msgspec


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one product in the warehouse, calculated or as the server says them."""

    available: int
    ordered: int
    held: int
    unallocatable: dict[str, int]
    on_hand: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One product whose balance is not the calculated one."""

    sku: str
    expected: Balance
    actual: Balance


class Ledger:
    """One product's units while its lines are worked off one by one."""

    def __init__(self) -> None:
        self._available = 0
        self._ordered = 0

    def receive(self, quantity: int) -> None:
        """Take units in."""
        self._available += quantity

    def place(self, quantity: int) -> bool:
        """Reserve units for an order, all or none; False if there are too few."""
        if quantity > self._available:
            return False
        self._available -= quantity
        self._ordered += quantity
        return True

    def cancel(self, quantity: int) -> None:
        """Give the units of an order that was placed back."""
        self._ordered -= quantity
        self._available += quantity

    def balance(self) -> Balance:
        """Return the numbers as they stand."""
        return Balance(
            available=self._available,
            ordered=self._ordered,
            held=0,
            unallocatable={},
            on_hand=self._available + self._ordered,
        )


def differences(
    expected: Mapping[str, Balance], actual: Mapping[str, Balance]
) -> tuple[Difference, ...]:
    """Return the products whose balances differ in any number, in the order of `expected`.

    Args:
        expected: The calculated balances by sku.
        actual: What the server says; it names every sku of `expected`.
    """
    return tuple(
        Difference(sku=sku, expected=balance, actual=actual[sku])
        for sku, balance in expected.items()
        if _numbers(balance) != _numbers(actual[sku])
    )


def _numbers(balance: Balance) -> tuple[int, int, int, dict[str, int], int]:
    # A state that is named with nothing in it says the same as one that is left out.
    unallocatable = {state: units for state, units in balance.unallocatable.items() if units}
    return (
        balance.available,
        balance.ordered,
        balance.held,
        unallocatable,
        balance.on_hand,
    )
