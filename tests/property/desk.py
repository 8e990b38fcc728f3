"""The feed's own side: what is told the WMS, and what its answers make pools be asked.

As the real shell has it: rows become pushes in order, once; what was sent is not forgotten, what
was heard may be. A pool is asked one thing at a time; an ask that nobody answers blocks the next
one until it would not be believed any more, and so does the end of a life that may have sent some.
"""

from dataclasses import dataclass, field

from allocator.domain.fed import Code
from allocator.domain.feeds import BeginRun, EndRun, Feed, PutFeed
from allocator.domain.pushes import Account, Push, applied
from allocator.domain.reconciling import (
    STATEMENT_STALE_MS,
    Detach,
    LotReconciled,
    Reconcile,
    Statement,
)
from tests.property.places import Life, World
from tests.property.wms import Page, Wms

FEED = 9000


@dataclass
class Asked:
    """What is under way to a pool.

    Attributes:
        run: Of which it is; 0 if of none.
        figures: What is compared, if everything is stated.
        known: The last row of which the feed knows that may have changed the like.
    """

    pool: int
    command: Reconcile | Detach
    run: int = 0
    figures: dict[Code, int] | None = None
    known: int = 0


@dataclass
class Desk:
    """The feed of some pools of a world.

    Attributes:
        life: The feed's actor.
        accounts: What the WMS was told, or is to be told, by pool; durable with `pushes`.
        pushes: As numbered; the first one has number 1.
        stated: As of when something was last said to a pool about a batch; durable before it is.
        asks: Under way.
        blocked_until_ms: By pool.
        unanswered: The run, and those that have to answer until it is complete.
        considered: As of when a pool last believed something about a batch; for the laws.
        settled: What a pool has followed, and up to which row that is known.
        short: What a pool was short of when it was last looked.
        told: As of when the WMS told something of a pool by itself, until a whole run is newer.
        heard: As of when what is unanswered was said.
        spared: How often a pool need not be asked; for the tests.
    """

    world: World
    wms: Wms
    pools: tuple[int, ...]
    excludes: tuple[str, ...] = ()
    life: Life = field(default_factory=lambda: Life(FEED, "feed", Feed()))
    accounts: dict[int, Account] = field(default_factory=dict)
    pushes: list[Push] = field(default_factory=list)
    stated: dict[tuple[int, Code], int] = field(default_factory=dict)
    asks: list[Asked] = field(default_factory=list)
    blocked_until_ms: dict[int, int] = field(default_factory=dict)
    unanswered: tuple[int, set[int]] = (0, set())
    considered: dict[tuple[int, Code], int] = field(default_factory=dict)
    settled: dict[int, tuple[dict[Code, int], int]] = field(default_factory=dict)
    short: dict[int, int] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    heard: int = 0
    spared: int = 0

    def __post_init__(self) -> None:
        """Be put."""
        self.accounts = {pool: Account(actor_id=pool) for pool in self.pools}
        self.world.lives[FEED] = self.life
        put = PutFeed(
            warehouse="main", url="http://wms", poll_ms=0, rate_per_s=1, excludes=self.excludes
        )
        self.world.ask(FEED, put)

    # What the WMS is told.

    def tell(self, pool: int, *, rows_max: int | None = None) -> None:
        """Make a push of what has happened to a pool, or of a part of that."""
        account = self.accounts[pool]
        rows = [(seq, event) for seq, (_, event) in enumerate(self.world.lives[pool].rows, 1)]
        new = rows[account.through :]
        account.take(new if rows_max is None else new[:rows_max])
        push = account.push()
        if push is not None:
            self.pushes.append(push)

    def send(self, number: int) -> None:
        """Have a push arrive."""
        self.wms.hear(number, self.pushes[number - 1])

    def applied(self, pool: int, *, through: int) -> dict[Code, int]:
        """Say what the WMS has applied of a pool's decreases, since it was attached."""
        mine = [(n, push) for n, push in enumerate(self.pushes, 1) if push.actor_id == pool]
        known = applied(mine, through=through, before={})
        base = self.accounts[pool].base
        return {code: known.get(code, 0) - base.get(code, 0) for code in known.keys() | base.keys()}

    # What the WMS says.

    def hear_run(self, page: Page, *, cut: int | None = None) -> None:
        """Hear everything that the WMS says; or, if the line breaks, of so many pools."""
        begin = BeginRun(
            as_of=page.as_of,
            applied_through=page.applied_through,
            sent_through=len(self.pushes),
        )
        if not isinstance(self.world.ask(FEED, begin), tuple):
            return
        run = self.life.state.version
        named = sorted({pool for pool, _ in page.orderable})
        pools = named[:cut] if cut is not None else [*named, *sorted(set(self.pools) - set(named))]
        spared = {pool for pool in pools if self.is_settled(pool, page)}
        asked = {
            pool
            for pool in pools
            if pool not in spared and self.state(pool, page, complete=True, run=run)
        }
        is_whole = cut is None and asked | spared == set(self.pools)
        self.unanswered = (run, asked) if is_whole else (run, {0})
        self.heard = page.as_of
        self._end_if_answered()

    def hear_event(self, page: Page) -> None:
        """Hear of one batch alone, unless a whole run was newer."""
        feed = self.life.state
        if isinstance(feed, Feed) and feed.completed and page.as_of <= feed.completed.as_of:
            return
        for pool, _ in page.orderable:
            self.told[pool] = max(self.told.get(pool, 0), page.as_of)
            self.state(pool, page, complete=False)

    def is_settled(self, pool: int, page: Page) -> bool:
        """Say whether a pool has followed all that a run says, so that it need not be asked."""
        if pool not in self.settled:
            return False
        figures, seq = self.settled[pool]
        account = self.accounts[pool]
        is_settled = (
            figures == self.figures(pool, page)
            and not self.short.get(pool)
            and max(account.turn, account.changed) <= seq
            and pool not in self.told
        )
        if is_settled:
            self.spared += 1
            fed = self.world.pool(pool).fed
            if fed is not None and fed.feed and fed.turn == account.turn:  # else it would not hear
                self._believe(pool, page.as_of)
        return is_settled

    def figures(self, pool: int, page: Page) -> dict[Code, int]:
        """Return what is compared: what can be ordered, and what was applied, since ever."""
        mine = [(n, push) for n, push in enumerate(self.pushes, 1) if push.actor_id == pool]
        figures = applied(mine, through=page.applied_through, before={})
        for (where, code), units in page.orderable.items():
            if where == pool:
                figures[code] = figures.get(code, 0) + units
        return figures

    def state(self, pool: int, page: Page, *, complete: bool, run: int = 0) -> bool:
        """Ask a pool to be what was said, unless something newer was, or an ask is under way."""
        if run:
            self.settled.pop(pool, None)
        if self.blocked_until_ms.get(pool, 0) > self.world.now_ms:
            return False
        said = {code: units for (where, code), units in page.orderable.items() if where == pool}
        done = self.applied(pool, through=page.applied_through)
        latest = max((at for (where, _), at in self.stated.items() if where == pool), default=0)
        if complete:
            said = dict.fromkeys(done, 0) | said
        complete = complete and page.as_of >= latest
        lots = tuple(
            Statement(
                code=code,
                orderable=units,
                applied=done.get(code, 0),
                expires_at_ms=self.wms.expiries.get(code),
            )
            for code, units in said.items()
            if complete or self.stated.get((pool, code), 0) < page.as_of
        )
        if not complete and not lots:
            return False
        self.stated |= {(pool, each.code): page.as_of for each in lots}
        if complete:
            self.stated[pool, "*"] = page.as_of  # whatever it does not name
        self._ask(
            pool,
            Reconcile(
                process=FEED,
                step=1,
                sent_at_ms=self.world.now_ms,
                as_of=page.as_of,
                turn=self.accounts[pool].turn,
                lots=lots,
                complete=complete,
                excludes=self.excludes,
            ),
            run=run,
            figures=self.figures(pool, page) if complete else None,
        )
        return complete

    def detach(self, pool: int) -> None:
        """Have a pool be fed no longer."""
        if self.blocked_until_ms.get(pool, 0) <= self.world.now_ms:
            self._ask(pool, Detach(process=FEED, step=1, sent_at_ms=self.world.now_ms))

    def _ask(
        self,
        pool: int,
        command: Reconcile | Detach,
        *,
        run: int = 0,
        figures: dict[Code, int] | None = None,
    ) -> None:
        known = max(self.accounts[pool].turn, self.accounts[pool].changed)
        self.asks.append(Asked(pool, command, run, figures, known))
        self.blocked_until_ms[pool] = self.world.now_ms + STATEMENT_STALE_MS + 1

    # The network, and trouble.

    def deliver(self, which: int, *, keep: bool, heard: bool, rows_max: int | None = None) -> None:
        """An ask arrives, perhaps once more later; with `rows_max`, its pool crashes over it.

        Args:
            which: Of those under way.
            keep: Whether a copy of it is still under way.
            heard: Whether the answer arrives, so that the pool may be asked again.
            rows_max: How many rows of the decision are stored then.
        """
        asked = self.asks[which] if keep else self.asks.pop(which)
        life = self.world.lives[asked.pool]
        rows = len(life.rows)
        was = self.world.pool(asked.pool)
        before = was.fed.turn if was.fed is not None else 0
        decision = life.decide(asked.command, now_ms=self.world.now_ms, rows_max=rows_max)
        if rows_max is not None:
            life.crash(from_snapshot=False)
        elif isinstance(decision, tuple) and isinstance(asked.command, Reconcile):
            if asked.command.turn == before and self.world.pool(asked.pool).is_fed:
                self._note(asked.pool, asked.command)
            named = {each.code for each in asked.command.lots}
            for _, event in life.rows[rows:]:
                if isinstance(event, LotReconciled) and not asked.command.complete:
                    assert event.code in named, "a part says nothing of the rest"
        if heard and rows_max is None:
            self.blocked_until_ms[asked.pool] = 0
            self._hear(asked, decision)

    def crash(self) -> None:
        """The feed's life ends; the next one does not know what is under way."""
        self.life.crash(from_snapshot=False)
        for pool in self.pools:
            self.blocked_until_ms[pool] = self.world.now_ms + STATEMENT_STALE_MS + 1

    def _hear(self, asked: Asked, decision: object) -> None:
        """Note that a pool has answered; the run is complete when all have."""
        run, pools = self.unanswered
        if not isinstance(decision, tuple) or asked.run != run:
            return
        if asked.figures is not None:
            fed = self.world.pool(asked.pool).fed
            seq = len(self.world.lives[asked.pool].rows) if decision else asked.known
            self.short[asked.pool] = 0 if fed is None else fed.short
            self.settled[asked.pool] = (asked.figures, seq)
        pools.discard(asked.pool)
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        run, pools = self.unanswered
        feed = self.life.state
        if pools or not isinstance(feed, Feed) or feed.open_run is None:
            return
        self.world.ask(FEED, EndRun(run=run, complete=True, lots=0, differences=0))
        self.told = {pool: as_of for pool, as_of in self.told.items() if as_of > self.heard}

    def _note(self, pool: int, command: Reconcile) -> None:
        for each in command.lots:
            place = (pool, each.code)
            self.considered[place] = max(self.considered.get(place, 0), command.as_of)
        if command.complete:
            self._believe(pool, command.as_of)

    def _believe(self, pool: int, as_of: int) -> None:
        for place in self.wms.gross:
            if place[0] == pool:
                self.considered[place] = max(self.considered.get(place, 0), as_of)
