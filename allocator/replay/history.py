"""Reads a shop's order history, strictly: a file that is wrong anywhere is refused whole.

A history is a CSV file in UTF-8 whose header names the eight `COLUMNS`, in any order; further
columns are left alone. Nothing is repaired by guessing, because a line that was read wrongly
would look like a server that calculates wrongly.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from allocator.errors import UsageError

COLUMNS = (
    "invoice",
    "product",
    "description",
    "quantity",
    "time",
    "unit_price",
    "customer",
    "country",
)

QUANTITY_MAX = 1_000_000_000
"""Units of one request: the server accepts no more."""

TEXT_MAX = 200
"""Characters of an invoice or a customer: what a reference and a customer may have."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


class HistoryError(UsageError):
    """The file is not a history; correct the line it names and repeat."""

    def __init__(self, *, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One product on one invoice.

    Attributes:
        line: Where it starts in the file, counted from 1; the header is line 1 or later.
        product: What the shop calls it; may be empty and may hold what a sku may not.
        quantity: Units, negative where they came back; may be 0.
        customer: May be empty: unknown.
    """

    line: int
    invoice: str
    product: str
    description: str
    quantity: int
    customer: str

    @property
    def is_return(self) -> bool:
        """Whether units came back: a negative quantity, or an invoice that begins with C."""
        return self.quantity < 0 or self.invoice.startswith("C")


def read_history(content: bytes) -> tuple[HistoryLine, ...]:
    """Return the lines of a history in file order; there is at least one.

    Raises:
        HistoryError: Something is wrong; the message is one sentence with the line's number.
    """
    records = _records(_text_of(content))
    line, header = next(records, (1, []))
    positions = _positions(header, line=line)
    history = tuple(
        _history_line(record, positions, line=line, width=len(header)) for line, record in records
    )
    if not history:
        raise HistoryError(line=line, reason="no order line follows the header")
    return history


def _text_of(content: bytes) -> str:
    at = content.find(b"\0")
    if at >= 0:
        raise HistoryError(line=_line_at(content, at), reason="a NUL character is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line_at(content, error.start)
        raise HistoryError(line=line, reason="this is not UTF-8") from error


def _line_at(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank with the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    starts_at = 1
    try:
        for record in reader:
            if record:
                yield starts_at, record
            starts_at = reader.line_num + 1
    except csv.Error as error:
        raise HistoryError(line=starts_at, reason=f"this is not CSV ({error})") from error


def _positions(header: list[str], *, line: int) -> dict[str, int]:
    names = [name.strip() for name in header]
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise HistoryError(line=line, reason=f"the header lacks {_listed(missing)}")
    twice = [column for column in COLUMNS if names.count(column) > 1]
    if twice:
        raise HistoryError(line=line, reason=f"the header repeats {_listed(twice)}")
    return {column: names.index(column) for column in COLUMNS}


def _listed(columns: list[str]) -> str:
    return f"the column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"


def _history_line(
    record: list[str], positions: dict[str, int], *, line: int, width: int
) -> HistoryLine:
    if len(record) != width:
        reason = f"{len(record)} fields where the header has {width}"
        raise HistoryError(line=line, reason=reason)
    field = {column: record[position].strip() for column, position in positions.items()}
    _check_time(field["time"], line=line)
    _check_price(field["unit_price"], line=line)
    for column in ("invoice", "customer"):
        if len(field[column]) > TEXT_MAX:
            reason = f"the {column} has more than {TEXT_MAX} characters"
            raise HistoryError(line=line, reason=reason)
    return HistoryLine(
        line=line,
        invoice=field["invoice"],
        product=field["product"],
        description=field["description"],
        quantity=_quantity(field["quantity"], line=line),
        customer=field["customer"],
    )


def _quantity(text: str, *, line: int) -> int:
    # int() alone would also take 1_000 and the digits of every script.
    if not _WHOLE.fullmatch(text):
        raise HistoryError(line=line, reason=f"the quantity {text!r} is not a whole number")
    quantity = int(text)
    if abs(quantity) > QUANTITY_MAX:
        reason = f"the quantity {text} is beyond {QUANTITY_MAX:,} units"
        raise HistoryError(line=line, reason=reason)
    return quantity


def _check_price(text: str, *, line: int) -> None:
    if not _DECIMAL.fullmatch(text):
        raise HistoryError(line=line, reason=f"the unit_price {text!r} is not a decimal number")


def _check_time(text: str, *, line: int) -> None:
    reason = f"the time {text!r} is not one like 2010-12-01T08:26:00Z"
    # The pattern alone would take a 31st of June, and fromisoformat alone 20101201.
    if not _RFC_3339.fullmatch(text):
        raise HistoryError(line=line, reason=reason)
    try:
        datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise HistoryError(line=line, reason=reason) from error
