"""Amounts of money: integers of a currency's minor unit, and what they are in its major one."""

from typing import Final

AMOUNT_MAX: Final = 10**15 - 1
"""The largest amount in minor units. Providers are sent JSON numbers, which most of them read as
IEEE 754 doubles: those keep any fifteen decimal digits, and not all of sixteen."""

_MINOR_UNITS: Final = 100
_CURRENCIES: Final = {
    1: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    1_000: "BHD IQD JOD KWD LYD OMR TND",
    10_000: "CLF UYW",
}
"""Those of which other than a hundred minor units make a major one: from the column "minor unit" of
ISO 4217, list one, as its maintenance agency (SIX) publishes it."""

_MINOR_UNITS_OF: Final = {
    currency: units for units, currencies in _CURRENCIES.items() for currency in currencies.split()
}


def charge_amount(minor: int, currency: str) -> float:
    """Return an amount in major units, as providers are sent it: 500 cents of EUR are 5.0.

    Args:
        minor: 0 to `AMOUNT_MAX`. The result is the double that is closest to the exact amount, and
            in JSON is written with exactly its decimals.
        currency: An ISO 4217 code; one that is unknown has two decimals, as nearly all have.
    """
    # One division of integers rounds once, and correctly; a product with 0.01 would round twice.
    return minor / _MINOR_UNITS_OF.get(currency, _MINOR_UNITS)
