"""Reading a history: everything right is kept, and one wrong field refuses the file."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.replay.history import COLUMNS, HistoryError, HistoryLine, read_history

EXAMPLE = Path(__file__).parents[1] / "data" / "shop-history.csv"

ROW = {
    "invoice": "1",
    "product": "A",
    "description": "Apple",
    "quantity": "2",
    "time": "2024-03-01T08:00:00Z",
    "unit_price": "1.50",
    "customer": "7",
    "country": "France",
}

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
)


def written(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def error_of(content: bytes) -> str:
    with pytest.raises(HistoryError) as caught:
        read_history(content)
    return str(caught.value)


def test_a_line_is_read_with_the_number_it_has_in_the_file() -> None:
    [line] = read_history(written(ROW))

    assert line == HistoryLine(
        line=2, invoice="1", product="A", description="Apple", quantity=2, customer="7"
    )


def test_quoted_commas_quotes_and_line_ends_belong_to_the_field() -> None:
    history = {line.line: line for line in read_history(EXAMPLE.read_bytes())}

    assert history[2].description == "Assam, loose"
    assert history[4].description == 'Mug "Ruby"'
    assert history[19].description == "Assam,\ntwo lines"
    assert 20 not in history
    assert history[21].invoice == "C700014"


def test_a_byte_order_mark_blank_lines_and_further_columns_do_not_matter() -> None:
    columns = (*reversed(COLUMNS), "till")
    content = b"\xef\xbb\xbf" + written(ROW | {"till": "3"}, columns=columns) + b"\r\n"

    [line] = read_history(content)

    assert (line.invoice, line.product, line.quantity) == ("1", "A", 2)


def test_a_missing_column_is_named() -> None:
    assert error_of(b"invoice,product,description,quantity,time,customer\n") == (
        "line 1: the header lacks the columns unit_price, country"
    )


def test_a_column_that_stands_twice_is_named() -> None:
    assert error_of(written(columns=(*COLUMNS, "customer"))) == (
        "line 1: the header repeats the column customer"
    )


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_has_no_columns(content: bytes) -> None:
    assert error_of(content).startswith("line 1: the header lacks the columns invoice, product")


def test_a_header_alone_is_no_history() -> None:
    assert error_of(written()) == "line 1: no order line follows the header"


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("quantity", "", "the quantity '' is not a whole number"),
        ("quantity", "1.5", "the quantity '1.5' is not a whole number"),
        ("quantity", "1_000", "the quantity '1_000' is not a whole number"),
        ("quantity", "٣", "the quantity '٣' is not a whole number"),
        ("quantity", "9" * 5000, f"the quantity '{'9' * 5000}' is not a whole number"),
        ("quantity", "-1000000001", "the quantity -1000000001 is beyond 1,000,000,000 units"),
        ("unit_price", "1,50", "the unit_price '1,50' is not a decimal number"),
        ("unit_price", "nan", "the unit_price 'nan' is not a decimal number"),
        ("time", "", "the time '' is not one like 2010-12-01T08:26:00Z"),
        ("time", "20240301", "the time '20240301' is not one like 2010-12-01T08:26:00Z"),
        (
            "time",
            "2024-03-01T08:00:00",
            "the time '2024-03-01T08:00:00' is not one like 2010-12-01T08:26:00Z",
        ),
        (
            "time",
            "2024-02-30T08:00:00Z",
            "the time '2024-02-30T08:00:00Z' is not one like 2010-12-01T08:26:00Z",
        ),
        ("customer", "x" * 201, "the customer has more than 200 characters"),
        ("invoice", "x" * 201, "the invoice has more than 200 characters"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(column: str, text: str, reason: str) -> None:
    assert error_of(written(ROW, ROW | {column: text}, ROW)) == f"line 3: {reason}"


@pytest.mark.parametrize("time", ["2024-03-01t08:00:00.25z", "2024-03-01T08:00:00-05:30"])
def test_any_time_of_rfc_3339_will_do(time: str) -> None:
    assert len(read_history(written(ROW | {"time": time}))) == 1


def test_a_line_with_too_few_or_too_many_fields_is_named() -> None:
    assert error_of(written(ROW) + b"1,2,3\n") == "line 3: 3 fields where the header has 8"
    assert error_of(written(ROW) + b",,,,,,,,\n") == "line 3: 9 fields where the header has 8"


def test_bytes_that_are_no_text_are_named_with_their_line() -> None:
    assert error_of(written(ROW) + b"\xff") == "line 3: this is not UTF-8"
    assert error_of(written(ROW, ROW) + b"\0") == "line 4: a NUL character is no text"


def test_a_quote_that_never_ends_is_named_with_the_line_it_begins_on() -> None:
    assert error_of(written(ROW) + b'"open\n\n\n').startswith("line 3: this is not CSV (")


@pytest.mark.parametrize(
    ("invoice", "quantity", "is_return"),
    [
        ("1", "2", False),
        ("1", "-2", True),
        ("C1", "-2", True),
        ("C1", "2", True),
        ("1", "0", False),
    ],
)
def test_a_return_has_a_negative_quantity_or_an_invoice_that_begins_with_c(
    invoice: str, quantity: str, *, is_return: bool
) -> None:
    [line] = read_history(written(ROW | {"invoice": invoice, "quantity": quantity}))

    assert line.is_return is is_return


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "invoice": TEXTS,
                "product": TEXTS,
                "description": TEXTS,
                "quantity": st.integers(-(10**9), 10**9),
                "customer": TEXTS,
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_a_csv_writer_wrote_is_read_as_it_was(rows: list[dict[str, str | int]]) -> None:
    texts = [ROW | {column: str(value) for column, value in row.items()} for row in rows]

    history = read_history(written(*texts))

    assert [
        (line.invoice, line.product, line.description, str(line.quantity), line.customer)
        for line in history
    ] == [
        tuple(
            text[column].strip()
            for column in ("invoice", "product", "description", "quantity", "customer")
        )
        for text in texts
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_line(noise: bytes) -> None:
    try:
        read_history(written(ROW) + noise)
    except HistoryError as error:
        assert error.line >= 2  # noqa: PT017  # both outcomes are right
