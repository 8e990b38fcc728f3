"""Makes the parts of one worker; the only module that knows them all, and that reads a clock."""

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import msgspec

from allocator.actors.limits import Limits
from allocator.actors.lives import Lives
from allocator.actors.openings import Openings
from allocator.actors.router import Router
from allocator.actors.statistics import Figures
from allocator.config import Config, states_in
from allocator.crew import Crew, Outside, crew_of
from allocator.domain.ids import IdSeal
from allocator.domain.interests import Interest
from allocator.domain.positions import Position
from allocator.feeding.feeding import Feeding
from allocator.feeding.front import Front
from allocator.feeding.letterbox import Letterbox
from allocator.feeding.station import Tools
from allocator.http.context import CartTerms, Context
from allocator.http.doors import Doors
from allocator.http.entrance import is_loopback
from allocator.http.metrics import FORMER
from allocator.http.statistics import HttpStatistics, figures_of
from allocator.payments.calls import Calls
from allocator.payments.opening import calls_of
from allocator.peers.frames import Hello
from allocator.peers.sockets import UnixSockets
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.carts import PostgresCarts
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool
from allocator.persistence.dry_runs import PostgresDryRuns
from allocator.persistence.feed import Feed
from allocator.persistence.installation import Installation
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.ownership import Ownership
from allocator.persistence.past import PostgresPast
from allocator.persistence.pools import PostgresPools
from allocator.persistence.readings import PostgresReadings
from allocator.persistence.reconciliations import PostgresReconciliations
from allocator.persistence.tail import begin_tail
from allocator.persistence.tickets import PostgresTickets
from allocator.persistence.webhooks import PostgresWebhooks
from allocator.persistence.wms import PostgresFeeds, TailRows
from allocator.persistence.wms_told import PostgresTold
from allocator.runtime.seat import Seat
from allocator.till import Till
from allocator.wms.http_wms import Terms as WmsTerms
from allocator.wms.http_wms import open_wms
from allocator.wms.sender import Patience as SenderPatience


def now_ms() -> int:
    """Return milliseconds of Unix time."""
    return time.time_ns() // 1_000_000


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A worker, and what its HTTP side is made of."""

    crew: Crew
    context: Context
    feed: Feed
    statistics: HttpStatistics
    calls: Calls | None
    feeding: Feeding


def assemble(
    config: Config, seat: Seat, installation: Installation, pool: Pool, lists: Pool
) -> Parts:
    """Make the parts, each given what it needs of the others; nothing of them runs yet.

    What decides uses the connections of `pool`; what may be slow, those of `lists`.
    """
    journal = _journal(config, seat, installation, pool)
    statistics = HttpStatistics()
    calls = calls_of(config, agent=f"allocator/{version('allocator')}", clock=now_ms)
    feed = Feed(seat.database_url)
    lives = None if seat.address is None else Lives(seat.address.parent, life=seat.address.stem)
    crew = crew_of(
        Outside(clock=now_ms, journal=journal, sockets=UnixSockets()),
        limits=_limits(config),
        hello=Hello(name=str(seat.place), build=version("allocator")),
        address=seat.address,
        figures=lambda: _encoded(own, lives),  # asked when it is there
        may_retire=seat.may_retire,
    )
    if calls is not None:
        crew.worker.office.cashier = Till(calls, asker=crew.asker)
        statistics.calls = calls.statistics
    own = partial(_own_figures, crew, statistics)
    catalogue = PostgresCatalogue(pool, era=installation.era, clock=now_ms)
    doors = Doors(
        PostgresApiKeys(pool, era=installation.era, clock=now_ms),
        clock=now_ms,
        may_stand_open=is_loopback(seat.listener),
        rate_limit=config.rate_limit,
    )
    names = PostgresPools(pool)
    router = Router(names)
    feeds = PostgresFeeds(lists)
    openings = Openings(names, begin=crew.asker.begin)
    feeding = Feeding(
        _feeding_tools(seat, installation, crew, lists=lists, pools=openings, feed=feed),
        is_ours=crew.worker.is_ours,
        statistics=statistics.feeds,
        is_alone=seat.directory is None,
    )
    crew.worker.office.poller = feeding
    context = Context(
        asker=crew.asker,
        doors=doors,
        figures=partial(_figures, crew, own, lives),
        router=router,
        catalogue=catalogue,
        readings=PostgresReadings(lists, journal, era=installation.era),
        tickets=PostgresTickets(lists),
        carts=PostgresCarts(lists),
        cart_terms=_cart_terms(config, calls),
        states=states_in(config.states),
        past=PostgresPast(lists),
        clock=now_ms,
        feed=feed,
        webhooks=PostgresWebhooks(
            pool, era=installation.era, clock=now_ms, anywhere=config.webhook_anywhere
        ),
        feeds=Front(feeding, feeds, now=partial(_settled, feed), anywhere=config.webhook_anywhere),
        letterbox=Letterbox(PostgresTold(lists), openings, knock=feeding.knock, clock=now_ms),
        history=PostgresReconciliations(lists),
        dry_runs=PostgresDryRuns(lists),
        ids=IdSeal(installation.id_secret),
        version=version("allocator"),
        server_version=installation.server_version,
    )
    return Parts(
        crew=crew,
        context=context,
        statistics=statistics,
        feed=feed,
        calls=calls,
        feeding=feeding,
    )


def _feeding_tools(  # noqa: PLR0913 (what they are made of)
    seat: Seat,
    installation: Installation,
    crew: Crew,
    *,
    lists: Pool,
    pools: Openings,
    feed: Feed,
) -> Tools:
    async def open_rows() -> TailRows:
        return TailRows(await begin_tail(seat.database_url, name="allocator wms"))

    terms = WmsTerms(agent=f"allocator/{version('allocator')}")
    return Tools(
        store=PostgresFeeds(lists),
        told=PostgresTold(lists),
        dry_runs=PostgresDryRuns(lists),
        reach=crew.asker,
        pools=pools,
        open_rows=open_rows,
        open_wms=partial(open_wms, terms=terms, clock=now_ms),
        patience=SenderPatience(),
        era=installation.era,
        now=partial(_settled, feed),
        clock=now_ms,
        clock_us=lambda: time.monotonic_ns() // 1_000,
    )


async def _settled(feed: Feed) -> Position:
    """Return the position up to which everything in the journal is settled."""
    async with feed.listen(Interest()) as listener:
        return listener.reached


def _cart_terms(config: Config, calls: Calls | None) -> CartTerms:
    return CartTerms(
        ttl_ms=config.cart_ttl_ms,
        cap_ms=config.cart_cap_ms,
        open_max=config.carts_max,
        timeout_ms=config.payment_timeout_ms,
        may_charge=None if calls is None else lambda: calls.has_room,
    )


def _journal(config: Config, seat: Seat, installation: Installation, pool: Pool) -> PostgresJournal:
    ownership = Ownership(
        pool,
        name=f"{socket.gethostname()}:{os.getpid()}",
        server=seat.server,
        address="" if seat.address is None else str(seat.address),
        dead_after_ms=config.dead_after_ms,
    )
    return PostgresJournal(
        url=seat.database_url,
        timeout_s=config.database_timeout_ms / 1000,
        pool=pool,
        ownership=ownership,
        era=installation.era,
        revive=seat.revive,
    )


def _encoded(own: Callable[[], Figures], lives: Lives | None) -> bytes:
    assert lives is not None, "peers ask for it"
    return msgspec.msgpack.encode(lives.keep(own()))


def _own_figures(crew: Crew, statistics: HttpStatistics) -> Figures:
    worker = crew.worker
    return figures_of(
        worker,
        statistics,
        now_ms=now_ms(),
        forwards=crew.forwards,
        hand_overs=worker.hand_overs,
    )


async def _figures(
    crew: Crew, own: Callable[[], Figures], lives: Lives | None
) -> dict[str, Figures | None]:
    """Return what each worker of this server has counted, by its place; None if it is silent."""
    if crew.cluster is None or lives is None:
        return {"0": own()}
    told = await crew.cluster.figures()
    figures = {
        name: None if said is None else msgspec.msgpack.decode(said, type=Figures)
        for name, said in told.items()
    }
    return figures | {FORMER: lives.former([each for each in figures.values() if each is not None])}


def _limits(config: Config) -> Limits:
    return Limits(
        mailbox_max=config.mailbox_max,
        worker_max=config.worker_max,
        batch_max=config.batch_max,
        actors_max=config.actors_max,
        idle_ms=config.idle_ms,
        heartbeat_ms=config.heartbeat_ms,
    )
