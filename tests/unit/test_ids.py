"""Sealed ids: an address in, a UUID out, and back for whoever has the secret."""

from uuid import RFC_4122, UUID

import pytest

from allocator.domain.ids import ACTOR_BITS, SEQ_BITS, SHARD_MASK, IdSeal, shard_of
from tests.builders import ACTOR

SECRET = bytes(range(32))
ID = "b89b5079-3e8f-81da-b53d-a8c5b2e70a33"


@pytest.mark.parametrize(
    ("actor_id", "seq"),
    [(0, 0), (1, 1), (ACTOR, 3), ((1 << ACTOR_BITS) - 1, (1 << SEQ_BITS) - 1)],
)
def test_an_id_leads_back_to_its_address(actor_id: int, seq: int) -> None:
    seal = IdSeal(SECRET)

    assert seal.unseal(seal.seal(actor_id, seq)) == (actor_id, seq)


def test_an_id_is_the_same_for_ever() -> None:
    """Ids are in the hands of clients: what was sealed once must always unseal."""
    assert IdSeal(SECRET).seal(ACTOR, 3) == ID


def test_an_id_is_a_uuid_of_version_8() -> None:
    """RFC 9562 §5.8."""
    value = UUID(IdSeal(SECRET).seal(ACTOR, 3))

    assert (value.version, value.variant) == (8, RFC_4122)


def test_neighbours_do_not_look_alike() -> None:
    """Nobody can count orders by comparing ids."""
    seal = IdSeal(SECRET)
    first, second = (UUID(seal.seal(ACTOR, seq)).int for seq in (1, 2))

    assert 30 < (first ^ second).bit_count() < 98


def test_another_installation_cannot_unseal_an_id() -> None:
    assert IdSeal(b"x" * 32).unseal(ID) is None


def test_an_id_may_be_sent_in_upper_case() -> None:
    assert IdSeal(SECRET).unseal(ID.upper()) == (ACTOR, 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b89b5079",
        ID[:-1],
        ID + "0",
        ID.replace("-", ""),
        "{" + ID[:-2] + "}",
        ID.replace("-", "_"),
        ID.replace("-8", "-4"),
        ID.replace("-b", "-7"),
        " " + ID[1:],
        "+" + ID[1:],
        "0x" + ID[2:],
        "b89b-50793e8f-81da-b53d-a8c5b2e70a33",
        "٣" * 36,
        "z" * 36,
        "-" * 36,
        "f" * 36,
        "0x" + "f" * 34,
        "f" * 35 + "-",
    ],
)
def test_what_was_never_sealed_is_no_id(text: str) -> None:
    """F11 and every 404: whatever a client sends is answered, never a failure of ours."""
    assert IdSeal(SECRET).unseal(text) is None


def test_ids_that_are_shown_often_are_the_same_ids() -> None:
    seal = IdSeal(SECRET)

    assert [seal.seal_often(ACTOR, 3) for _ in range(2)] == [ID, ID]
    assert seal.seal_often(ACTOR, 4) == seal.seal(ACTOR, 4)


@pytest.mark.parametrize(
    ("key", "shard"), [("pool:main/tea", 133), ("warehouse:main", 0), ("product:tea", 217)]
)
def test_the_shard_of_a_key_is_the_same_for_ever(key: str, shard: int) -> None:
    """An actor's id carries its shard: another hash would send every message astray."""
    assert shard_of(key) == shard


def test_the_shard_is_in_the_low_bits_of_an_actors_id() -> None:
    assert ACTOR & SHARD_MASK == 42
