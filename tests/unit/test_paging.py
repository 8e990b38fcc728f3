"""Lists: limits, cursors and parameters, as a request spells them."""

import json
from base64 import urlsafe_b64encode
from contextlib import suppress

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from allocator.domain.catalogue import is_code
from allocator.domain.rows import Address, Page
from allocator.http.paging import (
    LIMIT_DEFAULT,
    limit_of,
    listing,
    name_cursor,
    no_query,
    number,
    page_of,
    query,
)
from allocator.http.problems import ProblemError

BIGINT = st.integers(0, (1 << 63) - 1)
CODES = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", fullmatch=True)


def asked(query_string: str, *names: str) -> dict[str, str]:
    return query(make_mocked_request("GET", f"/list?{query_string}"), *names)


def cursor_after(position: Address | str) -> str:
    """The cursor that a full page ends with, whose last row stands there."""
    found = listing([position], limit=1, shape=str, position=lambda row: row)
    assert found.next_cursor is not None
    return found.next_cursor


@given(st.tuples(BIGINT, BIGINT))
def test_a_cursor_leads_to_where_its_page_ended(address: Address) -> None:
    assert page_of({"cursor": cursor_after(address)}) == Page(limit=LIMIT_DEFAULT, after=address)


@given(CODES)
def test_a_cursor_of_names_leads_to_where_its_page_ended(name: str) -> None:
    assert name_cursor({"cursor": cursor_after(name)}) == name


def packed(text: str) -> str:
    """What a client would forge that knows how cursors are made."""
    return urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


JSON = st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)


@given(st.text(max_size=255) | JSON.map(json.dumps).map(packed) | st.text().map(packed))
def test_no_cursor_that_is_made_up_reaches_the_database(text: str) -> None:
    with suppress(ProblemError):
        assert all(0 <= part < 1 << 63 for part in page_of({"cursor": text}).after)
    with suppress(ProblemError):
        assert is_code(name_cursor({"cursor": text}))


def test_a_list_begins_at_its_beginning() -> None:
    assert page_of({}) == Page(limit=LIMIT_DEFAULT, after=(0, 0))
    assert name_cursor({}) == ""


@pytest.mark.parametrize("cursor", [(1, 2), "tea"])
def test_the_cursor_of_another_list_is_refused(cursor: Address | str) -> None:
    found = {"cursor": cursor_after(cursor)}
    with pytest.raises(ProblemError):
        page_of(found) if isinstance(cursor, str) else name_cursor(found)


def test_a_page_that_is_not_full_is_the_last() -> None:
    rows = [(1, 1), (1, 2)]

    def page(limit: int) -> str | None:
        return listing(rows, limit=limit, shape=str, position=lambda row: row).next_cursor

    assert page(3) is None
    assert page(2) == cursor_after((1, 2))
    assert listing([], limit=1, shape=str, position=lambda _: (0, 0)).next_cursor is None


@pytest.mark.parametrize("text", ["1", "200", "007"])
def test_a_limit_is_a_whole_number_up_to_200(text: str) -> None:
    assert limit_of({"limit": text}) == int(text)


@pytest.mark.parametrize(
    "text", ["0", "201", "-1", "+1", "1_0", " 1", "1.0", "1e2", "x", "", "²", "٣", "9" * 5_000]
)
def test_any_other_limit_is_refused(text: str) -> None:
    with pytest.raises(ProblemError, match="limit must be a whole number from 1 to 200"):
        limit_of({"limit": text})


def test_a_number_that_is_not_given_is_the_usual_one() -> None:
    assert number({}, "after", default=7, low=0, high=9) == 7


def test_parameters_are_decoded() -> None:
    assert asked("customer=Bob+%26+Co&status=new", "customer", "status") == {
        "customer": "Bob & Co",
        "status": "new",
    }


@pytest.mark.parametrize(
    ("query_string", "detail"),
    [
        ("sku=1", "unknown parameter 'sku'; known are: status, customer"),
        ("status=a&status=b", "parameter 'status' is given twice"),
        ("status=a%00b", "status must be at most 255 printable characters"),
        ("status=%0A", "status must be at most 255 printable characters"),
        ("status=" + "x" * 256, "status must be at most 255 printable characters"),
        ("Status=new", "unknown parameter 'Status'; known are: status, customer"),
    ],
)
def test_parameters_that_make_no_sense_are_named(query_string: str, detail: str) -> None:
    with pytest.raises(ProblemError) as caught:
        asked(query_string, "status", "customer")

    assert caught.value.problem.detail == detail


def test_where_there_are_no_parameters_any_is_refused() -> None:
    no_query(make_mocked_request("GET", "/orders/x"))
    no_query(make_mocked_request("GET", "/orders/x?"))
    with pytest.raises(ProblemError, match="unknown parameter 'at'; known are: none"):
        no_query(make_mocked_request("GET", "/orders/x?at=1"))
