"""A stored body of any version becomes an event of today, or is refused; it is never guessed at."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec
import pytest

from allocator.domain.upcast import Upcasters, decoders_of, step


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of today, in its third version."""

    units: int
    given_name: str
    family_name: str


class TakenV1(msgspec.Struct, frozen=True, kw_only=True):
    """Its first version."""

    quantity: int
    customer: str = ""


class TakenV2(msgspec.Struct, frozen=True, kw_only=True):
    """Its second version, in which a field had another name."""

    units: int
    customer: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A kind that never changed."""

    units: int


Stored: TypeAlias = Taken | Kept

KINDS: Mapping[type[Stored], str] = {Taken: "taken", Kept: "kept"}
VERSIONS = {"taken": 3, "kept": 1}


def renamed(old: TakenV1) -> TakenV2:
    return TakenV2(units=old.quantity, customer=old.customer)


def split(old: TakenV2) -> Taken:
    given, _, family = old.customer.partition(" ")
    return Taken(units=old.units, given_name=given, family_name=family)


UPCASTERS: Upcasters = {("taken", 1): step(TakenV1, renamed), ("taken", 2): step(TakenV2, split)}


def decoded(kind: str, version: int, body: str, *, upcasters: Upcasters = UPCASTERS) -> Stored:
    return decoders_of(KINDS, versions=VERSIONS, upcasters=upcasters)[kind, version](body)


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (1, '{"quantity":2,"customer":"Ada King Lovelace"}'),
        (2, '{"units":2,"customer":"Ada King Lovelace"}'),
        (3, '{"units":2,"given_name":"Ada","family_name":"King Lovelace"}'),
    ],
)
def test_a_field_that_was_renamed_and_then_split_is_read_from_every_version(
    version: int, body: str
) -> None:
    event = Taken(units=2, given_name="Ada", family_name="King Lovelace")

    assert decoded("taken", version, body) == event


def test_a_field_that_was_absent_then_is_what_it_meant_then() -> None:
    assert decoded("taken", 1, '{"quantity":2}') == Taken(units=2, given_name="", family_name="")


def test_one_kind_moves_on_alone() -> None:
    decoders = decoders_of(KINDS, versions=VERSIONS, upcasters=UPCASTERS)

    assert set(decoders) == {("taken", 1), ("taken", 2), ("taken", 3), ("kept", 1)}
    assert decoders["kept", 1]('{"units":2}') == Kept(units=2)


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (1, '{"units":2,"customer":"Ada"}'),  # of the second version, under the number of the first
        (1, '{"quantity":"2"}'),
        (1, '{"quantity":2'),
        (2, '{"quantity":2,"customer":"Ada"}'),
        (2, '{"units":2}'),
        (3, '{"units":2,"customer":"Ada"}'),
    ],
)
def test_a_body_that_its_version_cannot_have_is_no_event(version: int, body: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoded("taken", version, body)


def test_a_row_does_not_become_two_events() -> None:
    """Its seq is the address of what it made, and the version that the pool had then."""

    def in_two(body: str | bytes) -> bytes:
        old = msgspec.json.decode(body, type=TakenV2)
        half = msgspec.structs.asdict(split(old)) | {"units": old.units // 2}
        return msgspec.json.encode([half, half])

    with pytest.raises(msgspec.ValidationError, match="Expected `object`, got `array`"):
        decoded(
            "taken",
            2,
            '{"units":2,"customer":"Ada"}',
            upcasters={**UPCASTERS, ("taken", 2): in_two},
        )


@pytest.mark.parametrize("missing", [1, 2])
def test_no_version_may_lack_the_step_that_leads_on_from_it(missing: int) -> None:
    some = {name: each for name, each in UPCASTERS.items() if name != ("taken", missing)}
    with pytest.raises(AssertionError, match=f"leads on from 'taken' of version {missing}"):
        decoders_of(KINDS, versions=VERSIONS, upcasters=some)


@pytest.mark.parametrize("name", [("taken", 3), ("taken", 4), ("taken", 0), ("kept", 1), ("x", 1)])
def test_a_step_from_what_is_not_an_older_version_is_a_mistake(name: tuple[str, int]) -> None:
    steps = {**UPCASTERS, name: step(TakenV1, renamed)}
    with pytest.raises(AssertionError, match="steps from what is not an older version"):
        decoders_of(KINDS, versions=VERSIONS, upcasters=steps)


def test_versions_are_counted_from_one() -> None:
    with pytest.raises(AssertionError, match="'kept' has no version"):
        decoders_of(KINDS, versions={**VERSIONS, "kept": 0}, upcasters=UPCASTERS)
