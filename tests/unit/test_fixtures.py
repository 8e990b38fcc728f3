"""Shops in files: what is read, what is refused and where, and the one that comes along."""

import re
from pathlib import Path

import pytest

from allocator.errors import UsageError
from allocator.fixtures import command, fixture
from allocator.fixtures.checks import check
from allocator.fixtures.command import fixture_of
from allocator.fixtures.fixture import Fixture, FixtureError, read_fixture
from allocator.fixtures.shelves import shelves_of

DOCS = Path(__file__).parents[2] / "docs" / "fixtures.md"

SHOP = """\
name = "corner-shop"

[[warehouses]]
code = "main"
name = "Main street"

[[locations]]
code = "bin-1"
warehouse = "main"

[[locations]]
code = "website"
warehouse = "main"
single_product = false

[[products]]
sku = "tea"
name = "Tea"
price = { amount = 480, currency = "EUR" }

[[products]]
sku = "mug"
name = "Mug"

[[stocks]]
product = "tea"
warehouse = "bin-1"
quantity = 10
lot = "B7"
expires_at = 2050-06-30T00:00:00Z

[[stocks]]
product = "mug"
warehouse = "website"
"""


def checked(text: str) -> Fixture:
    found = read_fixture(text.encode())
    check(found)
    return found


def shop(old: str = "", new: str = "", *, more: str = "") -> str:
    """The shop with one thing written differently, or with more behind it."""
    assert old in SHOP
    return SHOP.replace(old, new, 1) + more


STOCK = '\n[[stocks]]\nproduct = "{}"\nwarehouse = "{}"\n'


def test_every_entry_is_what_the_api_takes() -> None:
    found = checked(SHOP)

    assert [entry.thing.code for entry in found.warehouses] == ["main"]
    assert [entry.thing.single_product for entry in found.locations] == [True, False]
    assert [entry.thing.price is None for entry in found.products] == [False, True]
    assert [entry.thing.quantity for entry in found.stocks] == [10, 1]


def test_an_entry_says_where_it_stands() -> None:
    found = checked(SHOP)

    assert str(found.locations[1]) == "[[locations]] 2 on line 11 (website)"
    assert str(found.stocks[0]) == "[[stocks]] 1 on line 25 (tea at bin-1)"


def test_an_entry_of_which_the_line_is_not_known_says_its_number() -> None:
    found = checked('name = "x"\nwarehouses = [{ code = "a", name = "A" }]')

    assert str(found.warehouses[0]) == "[[warehouses]] 1 (a)"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = ?", "this is not TOML (Invalid value (at line 1, column 8))"),
        (f"name = {'[' * 9_999}", "this is not TOML (maximum recursion depth exceeded"),
        (f"name = {'9' * 9_999}", "this is not TOML (Exceeds the limit (4300 digits)"),
        ("", "Object missing required field `name`"),
        ('name = "two words"', "name: it takes 1 to 64 of A-Z a-z 0-9 . _ -"),
        (shop(more="\n[[orders]]\n"), "Object contains unknown field `orders`"),
        ('name = "x"\n[stocks]\nproduct = "tea"', "[stocks] has to be [[stocks]]"),
        (shop('code = "main"', 'code = ".."'), "[[warehouses]] 1 on line 3: code: it takes 1 to"),
        (shop('name = "Mug"', 'nmae = "Mug"'), "[[products]] 2 on line 21: Object contains"),
        (shop("480", "-1"), "[[products]] 1 on line 16: price.amount: Expected `int` >= 0"),
        (shop("480", "4.80"), "price.amount: Expected `int`, got `float`"),
        (
            shop("quantity = 10", "quantity = 0"),
            "[[stocks]] 1 on line 25: quantity: Expected `int`",
        ),
        (
            shop("2050-06-30T00:00:00Z", "2050-06-30"),
            "[[stocks]] 1 on line 25: expires_at: Expected `datetime | null`, got `date`",
        ),
        (
            shop("2050-06-30T00:00:00Z", "9999-12-31T23:59:59-01:00"),
            "[[stocks]] 1 on line 25 (tea at bin-1): expires_at must lie before the year 10000",
        ),
        (
            shop(more='\n[[locations]]\ncode = "main"\nwarehouse = "main"'),
            "[[locations]] 3 on line 36 (main): [[warehouses]] 1 on line 3 (main) is called so",
        ),
        (
            shop('sku = "mug"', 'sku = "tea"'),
            "[[products]] 1 on line 16 (tea) is called so already",
        ),
        (
            shop('"main"\nsingle', '"bin-1"\nsingle'),
            "[[locations]] 2 on line 11 (website): bin-1 is a location, and locations are in",
        ),
        (
            shop('"main"\nsingle', '"mian"\nsingle'),
            "(website): no entry of [[warehouses]] is called 'mian'",
        ),
        (
            shop(more=STOCK.format("cake", "main")),
            "[[stocks]] 3 on line 36 (cake at main): no entry of [[products]] is called 'cake'",
        ),
        (
            shop(more=STOCK.format("tea", "bin-2")),
            "(tea at bin-2): no entry of [[warehouses]] or [[locations]] is called 'bin-2'",
        ),
        (
            shop(more=STOCK.format("mug", "bin-1")),
            "bin-1 holds one product at a time, and [[stocks]] 1 on line 25 (tea at bin-1) is",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(FixtureError, match=re.escape(sentence)) as refused:
        checked(text)

    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_are_named_by_their_line() -> None:
    with pytest.raises(FixtureError, match="line 2 is not UTF-8"):
        read_fixture(b'name = "x"\n# caf\xe9\n')


def test_a_table_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixture, "ENTRIES_MAX", 1)

    with pytest.raises(FixtureError, match=re.escape("[[locations]] has more than 1 entries")):
        checked(SHOP)


def test_a_file_has_a_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP)
    monkeypatch.setattr(command, "BYTES_MAX", len(SHOP) - 1)

    with pytest.raises(UsageError, match="a fixture is smaller"):
        fixture_of(str(file))


def test_the_name_of_the_file_is_said_with_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(shop("quantity = 10", "quantity = 0"))

    with pytest.raises(FixtureError) as refused:
        fixture_of(str(file))

    assert str(refused.value).startswith(f"{file}: [[stocks]] 1 on line 25: ")


def test_a_key_depends_on_nothing_but_name_product_place_and_the_number_there() -> None:
    two_teas = checked(shop(more=STOCK.format("tea", "website") + STOCK.format("tea", "bin-1")))

    keys = {
        key: entry.number for shelf in shelves_of(two_teas) for key, entry in shelf.entries.items()
    }

    assert keys == {
        "seed:corner-shop:tea:bin-1:1": 1,
        "seed:corner-shop:tea:bin-1:2": 4,
        "seed:corner-shop:mug:website:1": 2,
        "seed:corner-shop:tea:website:1": 3,
    }


def test_keys_are_never_longer_than_a_key_may_be() -> None:
    long = "x" * 64
    [shelf] = shelves_of(
        checked(
            f'name = "{long}"\n[[warehouses]]\ncode = "{long}"\nname = "W"\n'
            f'[[products]]\nsku = "{long}"\nname = "P"' + STOCK.format(long, long)
        )
    )

    assert max(len(key) for key in shelf.entries) + len(str(fixture.ENTRIES_MAX)) <= 255


def test_the_demo_is_a_small_shop_with_everything_in_it() -> None:
    """O6, O7: bins of one product each, and a website where all that is there is for sale."""
    demo = fixture_of("demo")
    single = {entry.thing.code: entry.thing.single_product for entry in demo.locations}

    assert len(demo.products) == 12
    assert all(entry.thing.price is not None for entry in demo.products)
    assert single.pop("website") is False
    assert len(single) >= 8
    assert all(single.values())
    assert any(code not in {entry.thing.warehouse for entry in demo.stocks} for code in single)
    assert len([entry for entry in demo.stocks if entry.thing.expires_at is not None]) > 10


def test_the_examples_of_the_documentation_are_right() -> None:
    examples = re.findall(
        r"^```toml\n(.*?)^```$", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )

    assert [checked(text).name for text in examples] == ["corner-shop"]
