"""What a load did, whichever client made it."""

import msgspec

from bench.errors import BenchError
from bench.latency import Percentiles
from bench.mixes import Mix

NS_PER_S = 1_000_000_000


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Customers that each ask again as soon as they have their answer: a closed loop.

    Attributes:
        option: Id of the ticket option, for a mix that buys from one.
    """

    port: int
    mix: Mix
    seed: int
    connections: int
    seconds: float
    option: str = ""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one load.

    Attributes:
        client: Which client made it.
        created: Answers with status 201, or 204 of purchases.
        failed: Any other answer, and requests that broke without one.
        unread_max: Requests that may have been sent and whose answer nobody waited for.
        elapsed_ns: From the first request to the last answer that counts.
        latency: None where single answers were not timed.
        first_failure: What the client knows of one; "" when it knows nothing, or none failed.
    """

    client: str
    created: int
    failed: int
    unread_max: int
    elapsed_ns: int
    latency: Percentiles | None = None
    first_failure: str = ""

    @property
    def per_second(self) -> float:
        """Created orders a second."""
        return self.created * NS_PER_S / max(1, self.elapsed_ns)


class LoadError(BenchError):
    """The load could not be made at all; the message says why."""
