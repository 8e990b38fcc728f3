"""A snapshot is the whole pool, and nothing of it depends on how the pool came to be."""

import base64
import zlib
from hashlib import blake2b

import msgspec
import pytest

from allocator.domain.messages import CancelOrder, DispatchOrder, Wake
from allocator.domain.pool import Pool
from allocator.domain.rules import decide, wake_at
from allocator.domain.snapshots import READABLE, SCHEMA_VERSION, dump_pool, load_pool
from tests.builders import HOUR_MS, NOW_MS, do, place, pool_of, received

SOON_MS = NOW_MS + HOUR_MS

BUSY_OF_VERSION_1 = (
    "eNqbyn2egYGx+4JMWMPkzsXFqYWMKwpLE/NKMksqWVcmliVm5iQm5aQyL88vSkktSk1hXJ5aUZAJZDAsSc5PST2w"
    "FsItjk8sic8tPrCuKDU5NbMsNQXCBxt9/mkGw8qi1DSg9rzk1ANgS5jgljAjLGGAWcIAs4QZmyVw9xJrGTPcMiaE"
    "ZYwYljHgtizYlYEIyyZOYjjKyEBvwIhGDzRoAABEL4vU"
)
"""`busy_pool` as the first release wrote it, compressed."""


def busy_pool() -> Pool:
    """Return a pool with all that a pool can have."""
    pool = pool_of(
        5, received(3, expires_at_ms=SOON_MS), received(2, expires_at_ms=SOON_MS + HOUR_MS)
    )
    for quantity in (4, 2, 1, 1):
        do(pool, place(quantity))
    do(pool, DispatchOrder(order=5))
    do(pool, CancelOrder(order=6))
    do(pool, CancelOrder(order=4), now_ms=SOON_MS)
    do(pool, Wake(), now_ms=SOON_MS)
    return pool


def test_a_loaded_pool_has_all_that_the_dumped_one_had() -> None:
    pool = busy_pool()
    loaded = load_pool(dump_pool(pool))

    assert loaded.balance() == pool.balance()
    assert loaded.last_at_ms == pool.last_at_ms
    assert loaded.lots == pool.lots
    assert list(loaded.orders) == list(pool.orders)
    assert wake_at(loaded) == wake_at(pool)


def test_a_loaded_pool_goes_on_as_the_dumped_one_would() -> None:
    pool = busy_pool()
    loaded = load_pool(dump_pool(pool))
    for one in (pool, loaded):
        do(one, place(3), now_ms=SOON_MS)
        do(one, Wake(), now_ms=SOON_MS + HOUR_MS)

    assert dump_pool(loaded) == dump_pool(pool)


def test_a_loaded_pool_shares_nothing_with_the_dumped_one() -> None:
    pool = busy_pool()
    state = dump_pool(pool)
    do(load_pool(state), place(1), now_ms=SOON_MS)

    assert dump_pool(pool) == state


def test_an_empty_pool_survives() -> None:
    assert dump_pool(load_pool(dump_pool(Pool()))) == dump_pool(Pool())


def test_equal_pools_give_equal_bytes_however_they_were_ordered_from() -> None:
    first, second = pool_of(4, 4), pool_of(4, 4)
    for pool, quantities in ((first, (3, 3)), (second, (3, 3))):
        for quantity in quantities:
            do(pool, place(quantity))
    second.lots = dict(reversed(second.lots.items()))

    assert dump_pool(first) == dump_pool(second)


@pytest.mark.parametrize("state", [b"", b"\x00", dump_pool(busy_pool())[:-1]])
def test_bytes_that_are_no_snapshot_are_refused(state: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        load_pool(state)


def test_the_layout_has_a_version_that_changes_with_it() -> None:
    """If this fails, old snapshots would be misread: count SCHEMA_VERSION up, then the digest."""
    pool = pool_of(5, received(2, expires_at_ms=SOON_MS))
    do(pool, place(3))
    layout = blake2b(dump_pool(pool), digest_size=8).hexdigest()

    assert (SCHEMA_VERSION, layout) == (3, "c23bd45adb6debd5")


def test_a_decision_on_a_loaded_pool_is_the_same() -> None:
    pool = busy_pool()

    assert decide(load_pool(dump_pool(pool)), place(4), now_ms=SOON_MS) == decide(
        pool, place(4), now_ms=SOON_MS
    )


def test_what_was_written_as_version_1_is_read_for_ever() -> None:
    """Snapshots may be ignored; floors, which stand for rows that are gone, may not."""
    state = zlib.decompress(base64.b64decode(BUSY_OF_VERSION_1))

    assert 1 in READABLE
    assert load_pool(state).balance() == busy_pool().balance()
    assert dump_pool(load_pool(state)) == dump_pool(busy_pool())


def test_a_floor_of_the_first_release_is_read() -> None:
    """No journal has the rows below it any more."""
    pool = busy_pool()
    image = msgspec.msgpack.decode(dump_pool(pool))
    first = msgspec.msgpack.encode(image[:5])  # what has been added since stands behind it

    assert 1 in READABLE
    assert dump_pool(load_pool(first)) == dump_pool(pool)
