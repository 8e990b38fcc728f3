"""A simulated warehouse system (WMS) beside a server, and the feed that joins them."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from allocator.http.feed_shapes import ShownFeed
from allocator.wms.simulator_shapes import RECEIPTS_MAX, RequestsBody, TruthBody
from bench.api import Api
from bench.databases import fetch_count, fetch_text
from bench.errors import BenchError
from bench.messages import WAREHOUSE
from bench.processes import start, stop

_PATH: Final = f"/wms/feeds/{WAREHOUSE}"
_WITHIN_S: Final = 300.0
_LOOK_EVERY_S: Final = 0.1
_GAP_S: Final = 1.1
"""Two polls are a second apart, at least."""

_KNOWN: Final = """
SELECT count(*) FROM wms_pools WHERE (account ->> 'turn')::bigint > 0
"""
_COMMITTED: Final = """
SELECT coalesce(sum((pair ->> 1)::bigint), 0)
FROM wms_pools, json_array_elements(account -> 'committed') AS pair
"""
_NAME_PRODUCTS: Final = """
WITH made AS (
    INSERT INTO actors (id, kind, key)
    SELECT nextval('actor_numbers') << 8, 'product', 'product:{prefix}' || number
    FROM generate_series(0, {count} - 1) AS number
    RETURNING id, substr(key, 9) AS sku
), named AS (
    INSERT INTO products (sku, name, actor_id, version, digest, created_at)
    SELECT sku, sku, id, 0, '', now() FROM made
    RETURNING 1
)
SELECT count(*) FROM named
"""

_T = TypeVar("_T")


class WmsBenchError(BenchError):
    """The warehouse system did not come, or the feed did not do what it should."""


class Goods(NamedTuple):
    """Units of a batch, as they arrive or are lost."""

    sku: str
    batch: str | None
    quantity: int


class Wms:
    """A simulated warehouse system.

    Attributes:
        url: Where it is asked.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._api = Api(port=int(url.rpartition(":")[2]))

    def receive(self, goods: Sequence[Goods]) -> None:
        """Have units arrive there."""
        self._tell("receipts", goods)

    def lose(self, goods: Sequence[Goods]) -> None:
        """Have units be found of no use there."""
        self._tell("damage", goods)

    def run_batch(self) -> None:
        """Have it apply everything that it was told."""
        self._api.must("POST", "/sim/batch-now")

    def requests(self) -> RequestsBody:
        """Return how often it was asked."""
        return self._api.get("/sim/requests", RequestsBody)

    def truth(self) -> TruthBody:
        """Return what is really there."""
        return self._api.get("/sim/truth", TruthBody)

    def _tell(self, what: str, goods: Sequence[Goods]) -> None:
        for begin in range(0, len(goods), RECEIPTS_MAX):
            items = [each._asdict() for each in goods[begin : begin + RECEIPTS_MAX]]
            self._api.must("POST", f"/sim/{what}", {"items": items})


@contextmanager
def wms_in(directory: Path, *flags: str) -> Iterator[Wms]:
    """Have a warehouse system inside the block, which logs here."""
    log = directory / "wms_sim.log"
    log.unlink(missing_ok=True)  # of another one
    simulator = start(("allocator", "wms-sim", "--seed", "1", "--port", "0", *flags), log=log)
    try:
        yield Wms(until(lambda: _url_in(log), what=lambda: f"it did not come: {log.read_text()}"))
    finally:
        stop(simulator)


class Feed:
    """The feed of the one warehouse that benches use.

    Args:
        api: Of the server.
        database: Its URL.
    """

    def __init__(self, api: Api, *, database: str) -> None:
        self._api = api
        self._database = database
        self._ended_s = 0.0

    def put(self, wms: Wms, *, poll_s: float, rate_per_s: float, burst: int) -> None:
        """Have the warehouse be fed."""
        body = {"url": wms.url, "poll_s": poll_s, "rate_per_s": rate_per_s, "burst": burst}
        self._api.must("PUT", _PATH, body)

    def shown(self) -> ShownFeed:
        """Return how it goes."""
        return self._api.get(_PATH, ShownFeed)

    def run(self) -> float:
        """Have everything be heard; return how long that took, in seconds.

        Raises:
            WmsBenchError: It failed.
        """
        time.sleep(max(0.0, self._ended_s + _GAP_S - time.monotonic()))
        last = self.shown().run
        before = 0 if last is None else last.number
        began_s = time.monotonic()
        self._api.must("POST", f"{_PATH}/poll")
        until(lambda: self._has_ended(before), what=lambda: f"no run: {self.shown()}")
        self._ended_s = time.monotonic()
        return self._ended_s - began_s

    def wait_complete(self) -> None:
        """Return once a run was complete."""
        until(lambda: self.shown().completed, what=lambda: f"no run: {self.shown()}")

    def wait_known(self, pools: int) -> None:
        """Return once it is known of so many pools that they are fed: the next run is heard."""
        until(
            lambda: fetch_count(self._database, _KNOWN) >= pools,
            what=lambda: f"{pools} pools are not known",
        )

    def wait_pushed(self, units: int) -> None:
        """Return once so many units that were ordered are in pushes that the WMS has."""

        def is_pushed() -> bool:
            pushes = self.shown().pushes
            is_sent = pushes.numbered == pushes.acknowledged
            return is_sent and fetch_count(self._database, _COMMITTED) >= units

        until(is_pushed, what=lambda: f"{units} units are not pushed: {self.shown().pushes}")

    def wait_told(self, wms: Wms, units: int) -> None:
        """Return once the warehouse system knows of so many units that were ordered, exactly.

        Raises:
            WmsBenchError: It does not, or was told what cannot be.
        """

        def is_told() -> bool:
            wms.run_batch()
            return sum(each.allocated for each in wms.truth().items) == units

        until(is_told, what=lambda: f"not {units} units were told: {self.shown().pushes}")
        truth = wms.truth()
        if truth.mistakes or truth.gaps:
            raise WmsBenchError(f"it was told what cannot be: {truth.mistakes}, {truth.gaps} gaps")

    def _has_ended(self, before: int) -> bool:
        run = self.shown().run
        if run is None or run.number <= before or run.ended_at is None:
            return False
        if not run.complete:
            raise WmsBenchError(f"a run was not complete: {self.shown().last_error}")
        return True


def name_products(database: str, *, prefix: str, count: int) -> None:
    """Have products be known, without a request and a row of the journal for each."""
    fetch_text(database, _NAME_PRODUCTS.format(prefix=prefix, count=count))


def at_most(per_s: int) -> tuple[str, ...]:
    """Return flags of a warehouse system that may be asked so often."""
    return "--rate", str(per_s), "--burst", str(per_s)


def cpu_s(pid: int) -> float:
    """Return how long a process has computed (proc(5), stat's fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(look: Callable[[], _T | None], *, what: Callable[[], str]) -> _T:
    """Return what is seen, once it is anything.

    Raises:
        WmsBenchError: It is not within five minutes; `what` says what is wrong.
    """
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(_LOOK_EVERY_S)
    raise WmsBenchError(what())


def _url_in(log: Path) -> str:
    said = [line for line in log.read_text().splitlines() if line.startswith("wms-sim: ")]
    return said[-1].removeprefix("wms-sim: ").partition(",")[0] if said else ""
