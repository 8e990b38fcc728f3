"""Load on a server of several workers, and how much of it one worker had to ask another."""

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from allocator.domain.ids import SHARDS
from bench.api import Api, ApiError
from bench.client import hammer
from bench.holders import connections_by_process
from bench.load import Crowd, Load

_SENT = "allocator_forwards_sent_total"
_SHARES = "allocator_worker_shards{"
_SHARED_WITHIN_S = 30.0
_POLL_S = 0.02


class ForwardedLoad(Load, frozen=True, kw_only=True):
    """A load of which the server's workers forwarded a part.

    Attributes:
        forwarded: Requests that went from one worker to another, by the server's own count.
        busiest_share: Share of the connections, in the middle of the load, that the worker with
            the most of them held: one may accept a whole rush.
    """

    forwarded: int
    busiest_share: float

    @property
    def forwarded_share(self) -> float:
        """Forwarded requests, by those that were answered."""
        return self.forwarded / max(1, self.created + self.failed)


def hammer_forwarded(crowd: Crowd) -> Load:
    """Let a crowd loose, and have the server say how much it forwarded meanwhile."""
    with Api(port=crowd.port) as api:
        before = forwards_sent(_metrics(api))
        with ThreadPoolExecutor(1) as looking:
            busiest = looking.submit(_busiest_share, port=crowd.port, after_s=crowd.seconds / 2)
            load = hammer(crowd)
        forwarded = forwards_sent(_metrics(api)) - before
    return ForwardedLoad(
        **msgspec.structs.asdict(load), forwarded=forwarded, busiest_share=busiest.result()
    )


def wait_shared(api: Api, *, workers: int) -> None:
    """Return once so many workers have equal shares; until then, shards are on the move.

    Raises:
        ApiError: It did not come to that within 30 s.
    """
    deadline = time.monotonic() + _SHARED_WITHIN_S
    while (shares := shards_by_worker(_metrics(api))) != [SHARDS // workers] * workers:
        if time.monotonic() > deadline:
            raise ApiError(f"{workers} workers share the shards as {shares}")
        time.sleep(_POLL_S)


def forwards_sent(metrics: str) -> int:
    """Return how many requests one worker has asked another.

    Raises:
        ApiError: The metrics do not say.
    """
    for line in metrics.splitlines():
        name, _, value = line.partition(" ")
        if name == _SENT:
            return int(float(value))
    raise ApiError(f"GET /metrics has no {_SENT}")


def shards_by_worker(metrics: str) -> list[int]:
    """Return how many shards each worker serves, in the order of the metrics."""
    return [
        int(float(line.rpartition(" ")[2]))
        for line in metrics.splitlines()
        if line.startswith(_SHARES)
    ]


def _busiest_share(*, port: int, after_s: float) -> float:
    time.sleep(after_s)
    counts = connections_by_process(port)
    return max(counts.values(), default=0) / max(1, counts.total())


def _metrics(api: Api) -> str:
    return api.must("GET", "/metrics").decode()
