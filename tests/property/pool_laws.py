"""What is true of places at every instant, whatever processes ask of them."""

from collections import Counter

from allocator.domain import kinds
from allocator.domain.messages import OrderDispatched, OrderPartlyDispatched
from tests.property.places import World


def no_unit_is_made_or_lost(world: World) -> None:
    """On hand are those that were received and have not left; each in one state."""
    gone = sum(
        event.quantity
        for place in world.places
        for _, event in world.lives[place].rows
        if isinstance(event, OrderDispatched | OrderPartlyDispatched)
    )

    assert world.on_hand() == world.received - gone
    for place in world.places:
        balance = world.pool(place).balance()
        assert min(balance.available, balance.ordered, balance.held, balance.expired) >= 0


def lots_hold_what_processes_hold(world: World) -> None:
    """And orders have ordered what lots say."""
    for place in world.places:
        pool = world.pool(place)
        held: Counter[int] = Counter()
        for trace in () if pool.processes is None else pool.processes.traces.values():
            held.update(dict(trace.held))
        ordered: Counter[int] = Counter()
        for _, picks in pool.orders:
            ordered.update(dict(picks))
        for lot in pool.lots.values():
            assert (lot.held, lot.ordered) == (held.pop(lot.seq, 0), ordered.pop(lot.seq, 0))
        assert not +held
        assert not ordered


def replay_is_live(world: World) -> None:
    """With a snapshot and without."""
    for life in world.lives.values():
        live = kinds.dump(life.state)
        for from_snapshot in (False, True):
            assert kinds.dump(life.recovered(from_snapshot=from_snapshot)) == live


def no_late_ask_does_anything(world: World) -> None:
    """Everything that was ever sent arrives once more, and nothing comes of it."""
    rows = {place: len(world.lives[place].rows) for place in world.places}
    late = list(world.sent)
    for minutes in (0, 4):
        world.now_ms += minutes * 60_000
        world.asks = list(late)
        while world.asks:
            world.deliver_ask(0)
    world.answers.clear()
    for place, count in rows.items():
        after = [type(event).__name__ for _, event in world.lives[place].rows[count:]]
        # Long after, a pool may have forgotten that somebody let go, and notes it once more.
        assert set(after) <= {"LotExpired", "ProcessLetGo"}, after
        assert world.pool(place).held == 0
