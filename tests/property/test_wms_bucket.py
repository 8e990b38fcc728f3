"""However long requests and answers travel, a server never counts more of ours than its limit."""

from heapq import heappop, heappush
from typing import Literal

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from allocator.wms.bucket import Bucket, Limit

SECOND_US = 1_000_000
LATE_US = 5 * SECOND_US

Fate = Literal["answered", "given up", "refused"]


class Request(msgspec.Struct, frozen=True):
    """One request, and what becomes of it.

    Attributes:
        after_us: When it is wanted, after the former was sent.
        travels_us: Until the server counts it.
        returns_us: Until we hear of it; or, if nobody waits for so long, until that is given up.
    """

    after_us: int
    travels_us: int
    returns_us: int
    fate: Fate


TIMES = st.one_of(st.just(0), st.integers(0, SECOND_US // 5), st.integers(0, LATE_US))
REQUESTS = st.builds(
    Request, TIMES, TIMES, TIMES, st.sampled_from(["answered"] * 3 + ["given up", "refused"])
)
AT_ONCE = (Request(0, 0, 0, "answered"),) * 2
LIMITS = st.builds(
    Limit,
    per_s=st.one_of(st.sampled_from([0.1, 1.0, 3.0, 10.0]), st.floats(0.05, 500)),
    burst=st.integers(1, 6),
)


class Network:
    """A bucket, the requests that it lets through, and the server that counts them."""

    def __init__(self, limit: Limit) -> None:
        self.now_us = 0
        self.bucket = Bucket(limit, now_us=0)
        self.counted_us: list[int] = []
        self._limit = limit
        self._coming: list[tuple[int, int, str]] = []
        self._sent = 0

    def send(self, request: Request) -> None:
        self.pass_to(self.now_us + request.after_us)
        while (wait_us := self.bucket.take(now_us=self.now_us)) != 0:
            assert self._coming or wait_us is not None, "nothing could ever help"
            until_us = self.now_us + (wait_us if wait_us is not None else 10**18)
            self.pass_to(min(until_us, self._coming[0][0]) if self._coming else until_us)
        comes_us = self.now_us + request.travels_us
        if request.fate == "given up":
            until_us = self.now_us + request.returns_us
            self._expect(until_us, "given up")
            self._expect(min(comes_us, until_us + LATE_US), "comes")
        else:
            self._expect(comes_us, "comes")
            self._expect(comes_us + request.returns_us, request.fate)

    def pass_to(self, until_us: int) -> None:
        """Let everything happen that happens by then."""
        while self._coming and self._coming[0][0] <= until_us:
            self.now_us, _, what = heappop(self._coming)
            match what:
                case "comes":
                    self.counted_us.append(self.now_us)
                case "answered":
                    self.bucket.answered(now_us=self.now_us)
                case "refused":
                    until = self.now_us + LATE_US // 5
                    self.bucket.refused(now_us=self.now_us, until_us=until)
                case _:
                    until = self.now_us + LATE_US
                    self.bucket.given_up(now_us=self.now_us, until_us=until)
        self.now_us = until_us

    def restart(self) -> None:
        """Forget everything, once nothing is under way."""
        self.pass_to(max((at_us for at_us, _, _ in self._coming), default=self.now_us))
        self.bucket = Bucket(self._limit, now_us=self.now_us)

    def _expect(self, at_us: int, what: str) -> None:
        self._sent += 1
        heappush(self._coming, (at_us, self._sent, what))


@given(limit=LIMITS, lives=st.lists(st.lists(REQUESTS, max_size=25), min_size=1, max_size=3))
@example(  # it travels for long: its token would be back too early if it counted as of its start
    limit=Limit(per_s=1, burst=2),
    lives=[[Request(3 * SECOND_US, 900_000, 0, "answered"), *AT_ONCE, *AT_ONCE]],
)
@example(  # it comes after it was given up
    limit=Limit(per_s=1, burst=2),
    lives=[
        [
            Request(3 * SECOND_US, 900_000, 0, "given up"),
            Request(900_000, 0, 0, "answered"),
            Request(100_000, 0, 0, "answered"),
        ]
    ],
)
@example(  # what the former life sent still counts
    limit=Limit(per_s=1, burst=2), lives=[[Request(3 * SECOND_US, 0, 0, "answered")], [*AT_ONCE]]
)
def test_no_time_has_more_requests_than_the_limit_allows(
    limit: Limit, lives: list[list[Request]]
) -> None:
    """N3: no volume of orders breaks the WMS's limit, as the WMS counts."""
    network = Network(limit)
    for requests in lives:
        network.restart()
        for request in requests:
            network.send(request)
    network.restart()

    counted = network.counted_us
    assert len(counted) == sum(map(len, lives))
    for first, begin_us in enumerate(counted):
        for last in range(first, len(counted)):
            allowed = limit.burst + limit.per_s * (counted[last] - begin_us) / SECOND_US
            assert last - first + 1 <= allowed + 1e-6


@given(limit=LIMITS, count=st.integers(1, 40))
def test_who_is_answered_at_once_is_let_through_as_often_as_the_limit_allows(
    limit: Limit, count: int
) -> None:
    network = Network(limit)
    for _ in range(count):
        network.send(Request(0, 0, 0, "answered"))

    assert network.now_us <= count * SECOND_US / limit.per_s * 1.002 + count


@given(limit=LIMITS, requests=st.lists(REQUESTS, max_size=25))
def test_every_request_comes_through_in_the_end(limit: Limit, requests: list[Request]) -> None:
    network = Network(limit)
    for request in requests:
        network.send(request)
    network.restart()

    assert len(network.counted_us) == len(requests)
