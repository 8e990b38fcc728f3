"""A small world of places and processes, and a network that delays, repeats and reorders.

Actors live as the real shell has them live: what was decided is journaled row by row, a crash loses
memory and whatever was not journaled, and an ask leaves when its event is durable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from allocator.domain import kinds
from allocator.domain.carts import Cart, OpenCart
from allocator.domain.kinds import Command, Event, Kind, Message, Refusal, State
from allocator.domain.messages import Wake
from allocator.domain.moves import Move, RequestMove
from allocator.domain.orders import Line, Order, RequestOrder
from allocator.domain.pool import Pool
from allocator.domain.processes import Answer, Answered, Ask, Errands, Wanted, stamped
from allocator.domain.replay import replay
from allocator.domain.transfers import Stale, UnitsSent, UnitsTaken
from tests.builders import NOW_MS, records_of

PRODUCTS = ("tea", "pot")


@dataclass
class Life:
    """An actor: its state, and what is stored of it."""

    actor_id: int
    kind: Kind
    state: State
    rows: list[tuple[int, Event]] = field(default_factory=list)
    snapshot: tuple[int, bytes] | None = None
    errands: Errands = field(default_factory=Errands)

    def decide(
        self, message: Message, *, now_ms: int, rows_max: int | None = None
    ) -> Sequence[Event] | Refusal:
        """Decide and journal; with `rows_max`, crash when so many rows of it are stored."""
        now_ms = max(now_ms, self.state.last_at_ms)
        due = kinds.wake_at(self.state)
        if isinstance(self.state, Pool) and due is not None and due <= now_ms:
            self._store(kinds.decide(self.state, Wake(), now_ms=now_ms), now_ms=now_ms)
        decision = kinds.decide(self.state, message, now_ms=now_ms)
        if not isinstance(decision, tuple):
            return decision
        stored = decision if rows_max is None else decision[:rows_max]
        self._store(stored, now_ms=now_ms)
        return decision

    def _store(self, decision: Sequence[Event] | Refusal, *, now_ms: int) -> None:
        assert isinstance(decision, tuple)
        for event in decision:
            kinds.evolve(self.state, event, at_ms=now_ms)
            self.rows.append((now_ms, event))

    def recovered(self, *, from_snapshot: bool) -> State:
        """Return the state that storage has."""
        seq, state = 0, kinds.blank(self.kind)
        if from_snapshot and self.snapshot is not None:
            seq, image = self.snapshot
            state = kinds.load(self.kind, image)
        replay(state, records_of(self.rows, actor_id=self.actor_id)[seq:])
        return state

    def crash(self, *, from_snapshot: bool) -> None:
        """Lose the memory, and have it again."""
        self.state = self.recovered(from_snapshot=from_snapshot)
        self.errands = Errands()


@dataclass
class World:
    """Places and processes by actor id, and what is under way between them."""

    singles: frozenset[int]
    lives: dict[int, Life]
    now_ms: int = NOW_MS
    asks: list[tuple[int, Ask, Wanted]] = field(default_factory=list)
    answers: list[tuple[int, Ask, Answer]] = field(default_factory=list)
    sent: list[tuple[int, Ask, Wanted]] = field(default_factory=list)
    received: int = 0
    dispatched: int = 0

    @classmethod
    def of(cls, *, pools: int, singles: int) -> "World":
        """Return a world with pools of tea, and locations that hold one product at a time."""
        places = range(1, pools + singles + 1)
        return cls(
            singles=frozenset(places[pools:]),
            lives={place: Life(place, "pool", Pool()) for place in places},
        )

    def pool(self, place: int) -> Pool:
        state = self.lives[place].state
        assert isinstance(state, Pool)
        return state

    def move(self, move: int) -> Move:
        state = self.lives[move].state
        assert isinstance(state, Move)
        return state

    def order(self, order: int) -> Order:
        state = self.lives[order].state
        assert isinstance(state, Order)
        return state

    def cart(self, cart: int) -> Cart:
        state = self.lives[cart].state
        assert isinstance(state, Cart)
        return state

    @property
    def carts(self) -> list[int]:
        return [life.actor_id for life in self.lives.values() if life.kind == "cart"]

    @property
    def orders(self) -> list[int]:
        return [life.actor_id for life in self.lives.values() if life.kind == "order"]

    @property
    def processes(self) -> list[int]:
        return [life.actor_id for life in self.lives.values() if life.kind != "pool"]

    @property
    def places(self) -> list[int]:
        return [life.actor_id for life in self.lives.values() if life.kind == "pool"]

    @property
    def moves(self) -> list[int]:
        return [life.actor_id for life in self.lives.values() if life.kind == "move"]

    def product_for(self, place: int, product: str) -> str | None:
        """What a place is told: ordinary pools are not."""
        return product if place in self.singles else None

    def ask(self, actor_id: int, command: Command) -> Sequence[Event] | Refusal:
        """A client asks."""
        return self.lives[actor_id].decide(command, now_ms=self.now_ms)

    def begin(self, *, product: str, source: int, destination: int, quantity: int) -> int:
        """A client wants units moved; return the move."""
        actor_id = 1000 + len(self.moves)
        self.lives[actor_id] = Life(actor_id, "move", Move())
        command = RequestMove(
            product=product,
            source=source,
            destination=destination,
            from_code=f"p{source}",
            to_code=f"p{destination}",
            quantity=quantity,
            expects=destination in self.singles,
        )
        assert isinstance(self.ask(actor_id, command), tuple)
        self.send(actor_id)
        return actor_id

    def begin_order(self, *wanted: tuple[int, int], product: str = "tea") -> int:
        """A client orders (units) of (places), all or nothing; return the order."""
        actor_id = 2000 + len(self.orders)
        self.lives[actor_id] = Life(actor_id, "order", Order())
        lines = tuple(
            self.line_of(place, units=units, product=product) for place, units in sorted(wanted)
        )
        assert isinstance(self.ask(actor_id, RequestOrder(lines=lines)), tuple)
        self.send(actor_id)
        return actor_id

    def line_of(self, place: int, *, units: int, product: str = "tea") -> Line:
        """Return units of a product at a place, as a client wants them."""
        return Line(
            pool=place,
            warehouse=f"p{place}",
            product=product,
            quantity=units,
            told=self.product_for(place, product),
        )

    def open_cart(self, *, ttl_ms: int, cap_ms: int) -> int:
        """A client takes a cart; return it."""
        actor_id = 3000 + len(self.carts)
        self.lives[actor_id] = Life(actor_id, "cart", Cart())
        assert isinstance(self.ask(actor_id, OpenCart(ttl_ms=ttl_ms, cap_ms=cap_ms)), tuple)
        return actor_id

    def send(self, move: int, *, again: bool = False) -> None:
        """Send what a move asks for the first time; with `again`, all that is not answered."""
        errands = self.lives[move].errands
        new = errands.renew(kinds.intents(self.lives[move].state))
        for ask in errands.waiting() if again else new:
            command = stamped(ask.command, process=move, sent_at_ms=self.now_ms)
            self.asks.append((move, ask, command))
            self.sent.append((move, ask, command))

    def deliver_ask(self, which: int, *, rows_max: int | None = None) -> None:
        """An ask arrives; with `rows_max`, the place crashes with so many of its rows stored."""
        move, ask, command = self.asks.pop(which)
        place = self.lives[ask.actor_id]
        decision = place.decide(command, now_ms=self.now_ms, rows_max=rows_max)
        if rows_max is not None:
            place.crash(from_snapshot=False)
            return
        self.answers.append((move, ask, _answer_of(decision)))

    def deliver_answer(self, which: int, *, keep: bool) -> None:
        """An answer arrives; with `keep`, a copy of it will, too."""
        move, ask, answer = self.answers[which] if keep else self.answers.pop(which)
        life = self.lives[move]
        told = life.errands.hear(ask, answer, kinds.intents(life.state))
        if told is not None:
            self.tell(move, told)
        else:
            self.send(move, again=isinstance(answer, Stale))

    def tell(self, move: int, told: Answered) -> None:
        self.lives[move].decide(told, now_ms=self.now_ms)
        self.send(move)

    def deliver_all(self) -> None:
        """Let every ask that is under way arrive, then every answer."""
        for _ in range(len(self.asks)):
            self.deliver_ask(0)
        for _ in range(len(self.answers)):
            self.deliver_answer(0, keep=False)

    def calm(self) -> None:
        """Let every ask and answer arrive, and all moves come to their end."""
        for _ in range(200):
            self.deliver_all()
            if not any(kinds.intents(self.lives[each].state) for each in self.processes):
                return
            if self.asks or self.answers:
                continue
            self.now_ms += 1000
            for each in self.processes:
                self.lives[each].decide(Wake(), now_ms=self.now_ms)
                self.send(each, again=True)
        raise AssertionError("a process does not come to its end")

    def on_hand(self) -> int:
        return sum(self.pool(place).balance().on_hand for place in self.places)

    def in_transit(self) -> int:
        """Units sent out and not taken in, as the journals of the places have it."""
        events = [event for place in self.places for _, event in self.lives[place].rows]
        sent = sum(event.quantity for event in events if isinstance(event, UnitsSent))
        return sent - sum(e.lot.quantity for e in events if isinstance(e, UnitsTaken))


def _answer_of(decision: Sequence[Event] | Refusal) -> Answer:
    if isinstance(decision, Sequence):
        return decision[-1] if decision else None  # type: ignore[return-value]  # of a pool
    return decision  # type: ignore[return-value]  # likewise
