"""Who cannot be reached is not asked again and again."""

import asyncio
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from allocator.peers.errors import PeerUnreachableError
from allocator.peers.frames import Hello, Numbered
from allocator.peers.link import Link
from allocator.peers.sockets import UnixSockets
from tests.virtual_time import virtual_time


@virtual_time
async def test_attempts_to_connect_back_off_and_calls_between_them_fail_at_once(
    tmp_path: Path,
) -> None:
    link: Link[int, int] = Link(
        tmp_path / "nobody",
        sockets=UnixSockets(),
        hello=Hello(name="caller", build="test"),
        peer="nobody",
        responses=msgspec.msgpack.Decoder(Numbered[int]),
        timeout_s=1,
        in_flight_max=10,
    )
    attempts_ms: list[int] = []
    reasons: set[str] = set()
    for now_ms in range(1500):
        try:
            attempt = link.call(1)
        except PeerUnreachableError as error:
            reasons.add(error.why)
        else:
            attempts_ms.append(now_ms)
            with pytest.raises(PeerUnreachableError):
                await attempt
        await asyncio.sleep(0.001)
    pauses_ms = [later - earlier for earlier, later in pairwise(attempts_ms)]

    assert pauses_ms == pytest.approx([10, 20, 40, 80, 160, 250, 250, 250, 250], abs=1)

    assert reasons == {"[Errno 2] No such file or directory"}

    await link.close()
