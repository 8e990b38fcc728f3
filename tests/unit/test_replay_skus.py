"""Skus: always valid, never shared, and a code that is one already keeps it."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from allocator.replay.skus import name_skus

SKU = re.compile(r"[A-Za-z0-9._-]{1,64}")
CODES = st.sets(
    st.text("aB1._- /é", min_size=1, max_size=4) | st.text("x/", min_size=63, max_size=66),
    max_size=12,
)


def test_what_a_sku_may_not_have_becomes_an_underscore() -> None:
    assert name_skus(["BANK CHARGES", "85123A", "crème/50%"]) == {
        "BANK CHARGES": "BANK_CHARGES",
        "85123A": "85123A",
        "crème/50%": "cr_me_50_",
    }


def test_codes_that_differ_in_case_alone_are_two_skus_already() -> None:
    assert name_skus(["85123a", "85123A"]) == {"85123a": "85123a", "85123A": "85123A"}


def test_two_codes_that_would_share_a_sku_are_told_apart_by_a_mark() -> None:
    skus = name_skus(["a b", "a/b"])

    assert all(re.fullmatch("a_b-[0-9a-f]{12}", sku) for sku in skus.values())
    assert len(set(skus.values())) == 2


def test_a_mark_that_another_code_bears_already_is_not_given_again() -> None:
    marked = name_skus(["a b", "a/b"])["a b"]
    skus = name_skus(["a b", "a/b", marked])

    assert skus[marked] == marked
    assert len(set(skus.values())) == 3


def test_a_code_that_is_a_sku_keeps_it_before_one_that_only_becomes_it() -> None:
    assert name_skus(["a b", "a_b"])["a_b"] == "a_b"


def test_a_code_that_is_too_long_is_cut() -> None:
    assert name_skus(["x" * 65]) == {"x" * 65: "x" * 64}


def test_a_sku_is_never_a_direction_in_a_path() -> None:
    assert name_skus([".", ".."]) == {".": "_", "..": "__"}


@given(CODES)
@example({"..", "__", "_"})
@example({"x" * 64, "x" * 65, "x" * 66})
def test_every_code_has_a_valid_sku_of_its_own(codes: set[str]) -> None:
    skus = name_skus(codes)

    assert skus.keys() == codes
    assert len(set(skus.values())) == len(codes)
    assert all(SKU.fullmatch(sku) and sku not in {".", ".."} for sku in skus.values())


@given(CODES)
def test_a_code_that_is_a_sku_keeps_it(codes: set[str]) -> None:
    skus = name_skus(codes)

    kept = {code for code in codes if SKU.fullmatch(code) and code not in {".", ".."}}
    assert all(skus[code] == code for code in kept)


@given(st.permutations(["a b", "a/b", "a_b", "b", "..", "__"]))
def test_the_order_of_the_codes_does_not_matter(codes: list[str]) -> None:
    assert name_skus(codes) == name_skus(sorted(codes))
