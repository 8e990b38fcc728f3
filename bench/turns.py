"""One turn of one contender: its own server, its own database, its load, and its accounts."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.api import Api
from bench.contenders import Contender
from bench.databases import Databases, fetch_count
from bench.errors import BenchError
from bench.load import Crowd, Load
from bench.processes import free_port, serving

CATCH_UP_WITHIN_S = 120.0
_POLL_S = 0.02


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured.

    Attributes:
        warm_up_s: Load before each measured one; its orders are checked, not timed.
        fill_orders: Open orders of the pool that counts as full.
    """

    name: str
    rounds: int
    seconds: float
    warm_up_s: float
    connections: int
    paced_s: float
    paced_per_second: int
    fill_orders: int
    sale_units: int
    sale_clients: int


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What every measurement needs.

    Attributes:
        load_before: Processes that kept the machine busy in the minute before the run.
        say: Told of what takes long how far it is.
    """

    databases: Databases
    directory: Path
    size: Size
    seed: int
    load_before: float
    say: Callable[[str], None] = print

    @property
    def is_whole(self) -> bool:
        """Whether it is measured, and not only shown that it works."""
        return self.size.rounds > 1


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a contender did in one round.

    Attributes:
        seen: Orders that the clients saw created, the warm-up included.
        sold: Orders in the database afterwards; None where nothing is sold.
        catch_up_s: From the load's end until the read models had everything.
    """

    contender: str
    round: int
    load: Load
    seen: int
    sold: int | None = None
    catch_up_s: float | None = None


class WrongStateError(BenchError):
    """The database does not hold what the clients were told: the figures mean nothing."""


def take_turn(contender: Contender, bench: Bench, *, number: int) -> Turn:
    """Run one contender for one round.

    Raises:
        WrongStateError: what was sold is not what was acknowledged.
    """
    port = free_port()
    log = bench.directory / f"{contender.name}.log"
    with bench.databases.fresh(f"bench_{contender.name}") as url:
        contender.before(url)
        with (
            serving(contender.arguments(port, url), port=port, log=log),
            Api(port=port, headers=contender.mix.headers) as api,
        ):
            contender.prepare(api, contender.mix)
            loads = _loads(contender, bench, port=port, number=number)
            catch_up_s = _catch_up(contender, api, url, loads=loads)
        sold = check_sold(url, contender.sold, loads=loads) if contender.sold else None
    return Turn(
        contender=contender.name,
        round=number,
        load=loads[-1],
        seen=sum(load.created for load in loads),
        sold=sold,
        catch_up_s=catch_up_s,
    )


def wait_caught_up(api: Api) -> float:
    """Return the seconds until the read models have taken in everything.

    Raises:
        WrongStateError: they did not within `CATCH_UP_WITHIN_S`.
    """
    started = time.monotonic()
    while lag := api.projection_lag_events():
        if time.monotonic() - started > CATCH_UP_WITHIN_S:
            raise WrongStateError(
                f"the projection was still {lag} events behind after {CATCH_UP_WITHIN_S:.0f} s"
            )
        time.sleep(_POLL_S)
    return time.monotonic() - started


def check_sold(url: str, queries: tuple[str, ...], *, loads: list[Load]) -> int:
    """Return what was sold, by all of `queries`, which has to be what the clients saw.

    Raises:
        WrongStateError: it is not.
    """
    return agreed({query: fetch_count(url, query) for query in queries}, loads=loads)


def agreed(counts: dict[str, int], *, loads: list[Load]) -> int:
    """Return the one number of orders that all counts and all clients agree on.

    `wrk` leaves when its time is over; what it then had in flight may have been sold unseen,
    at most one order a connection.

    Raises:
        WrongStateError: they do not agree.
    """
    seen = sum(load.created for load in loads)
    unseen_max = sum(load.unread_max for load in loads)
    if len(set(counts.values())) > 1:
        raise WrongStateError(f"the database contradicts itself: {counts}")
    sold = next(iter(counts.values()))
    if not seen <= sold <= seen + unseen_max:
        raise WrongStateError(
            f"{sold} orders were sold, but {seen} seen created and at most {unseen_max} unseen"
        )
    return sold


def _catch_up(contender: Contender, api: Api, url: str, *, loads: list[Load]) -> float | None:
    """Wait for the read models, and see that they then have what was acknowledged."""
    if contender.projected is None:
        return None
    catch_up_s = wait_caught_up(api)
    projected = fetch_count(url, contender.projected)
    seen = sum(load.created for load in loads)
    if projected < seen:
        raise WrongStateError(
            f"the read models claim to be up to date with {projected} orders of {seen}"
        )
    return catch_up_s


def _loads(contender: Contender, bench: Bench, *, port: int, number: int) -> list[Load]:
    """Make the warm-up and the measured load, the last; each with keys of its own."""
    spans = [bench.size.warm_up_s, bench.size.seconds]
    return [
        contender.load(
            Crowd(
                port=port,
                mix=contender.mix,
                seed=bench.seed + 2 * number + place,
                connections=bench.size.connections,
                seconds=seconds,
            )
        )
        for place, seconds in enumerate(spans)
        if seconds
    ]
