"""A move, step by step: what it asks, and what it makes of the answers."""

import pytest

from allocator.domain import kinds
from allocator.domain.kinds import Message
from allocator.domain.messages import (
    AlreadyBegun,
    InsufficientStock,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    Wake,
)
from allocator.domain.moves import (
    Move,
    MoveDone,
    MoveEnded,
    MoveEvent,
    MoveExpected,
    MoveRequested,
    MoveSent,
    RequestMove,
    SamePlace,
)
from allocator.domain.pool import Balance, Pool
from allocator.domain.processes import AT_ONCE, Answer, Answered, Ask
from allocator.domain.queries import BalanceQuery, MoveQuery, look
from allocator.domain.transfers import (
    AlreadySent,
    Expect,
    LetGo,
    Occupied,
    ProcessLetGo,
    ProductExpected,
    SendOut,
    SendRefused,
    Stale,
    TakeIn,
    TooManyLots,
    Transfer,
    UnitsSent,
    UnitsTaken,
)
from tests.builders import NOW_MS
from tests.property.places import World

SOURCE, DESTINATION = 5, 6
LOTS = (Transfer(quantity=3, origin=(SOURCE, 1), received_at_ms=NOW_MS),)
EXPECTED = ProductExpected(process=9, step=1, product="tea")
SENT = UnitsSent(process=9, step=2, quantity=3, lots=LOTS)
TAKEN = UnitsTaken(process=9, step=3, lot=LOTS[0], last=True)
GONE = ProcessLetGo(process=9, step=4)
TOO_FEW = SendRefused(process=9, step=2, requested=3, available=2)


def request(*, expects: bool = True, destination: int = DESTINATION) -> RequestMove:
    return RequestMove(
        product="tea",
        source=SOURCE,
        destination=destination,
        from_code="a",
        to_code="b",
        quantity=3,
        expects=expects,
    )


def tell(move: Move, message: Message) -> tuple[kinds.Event, ...]:
    decision = kinds.decide(move, message, now_ms=NOW_MS)
    assert isinstance(decision, tuple), decision
    for event in decision:
        kinds.evolve(move, event, at_ms=NOW_MS)
    return decision


def move_after(*answers: tuple[int, Answer], expects: bool = True) -> Move:
    move = Move()
    tell(move, request(expects=expects))
    for number, answer in answers:
        assert len(tell(move, Answered(number=number, answer=answer))) == 1
    return move


def asks(move: Move) -> list[tuple[int, str]]:
    return [(ask.actor_id, type(ask.command).__name__) for ask in kinds.intents(move)]


def test_a_move_goes_through_its_steps_and_asks_one_after_the_other() -> None:
    """O2, O3."""
    move = Move()
    steps: list[tuple[Message, type[MoveEvent], list[tuple[int, str]]]] = [
        (request(), MoveRequested, [(DESTINATION, "Expect")]),
        (Answered(number=1, answer=EXPECTED), MoveExpected, [(SOURCE, "SendOut")]),
        (Answered(number=2, answer=SENT), MoveSent, [(DESTINATION, "TakeIn")]),
        (
            Answered(number=3, answer=TAKEN),
            MoveDone,
            [(SOURCE, "LetGo"), (DESTINATION, "LetGo")],
        ),
        (Answered(number=4, answer=GONE), MoveEnded, []),
    ]
    for message, event, next_asks in steps:
        assert [type(each) for each in tell(move, message)] == [event]
        assert asks(move) == next_asks

    assert (move.status, move.ended, move.version) == ("done", True, 5)
    assert kinds.has_ended(move)


def test_what_is_asked_is_exactly_this() -> None:
    expects, ordinary = move_after(), move_after((2, SENT), expects=False)

    assert kinds.intents(expects) == (
        Ask(number=1, actor_id=DESTINATION, command=Expect(step=1, product="tea")),
    )
    assert kinds.intents(move_after((1, EXPECTED))) == (
        Ask(
            number=2,
            actor_id=SOURCE,
            command=SendOut(step=2, source=SOURCE, quantity=3, product="tea"),
        ),
    )
    assert kinds.intents(ordinary) == (
        Ask(number=3, actor_id=DESTINATION, command=TakeIn(step=3, lots=LOTS)),
    )
    assert kinds.intents(move_after((1, EXPECTED), (2, SENT))) == (
        Ask(number=3, actor_id=DESTINATION, command=TakeIn(step=3, lots=LOTS, product="tea")),
    )


def test_an_ordinary_destination_is_not_asked_first() -> None:
    assert asks(move_after(expects=False)) == [(SOURCE, "SendOut")]


@pytest.mark.parametrize(
    ("before", "number", "answer", "event"),
    [
        ([], 1, None, MoveExpected()),
        ([(1, EXPECTED)], 2, AlreadySent(lots=LOTS), MoveSent(lots=LOTS)),
        ([(1, EXPECTED), (2, SENT)], 3, None, MoveDone()),
        ([(1, EXPECTED), (2, SENT), (3, TAKEN)], 4, None, MoveEnded()),
    ],
)
def test_an_answer_that_was_lost_is_heard_the_second_time(
    before: list[tuple[int, Answer]], number: int, answer: Answer, event: MoveEvent
) -> None:
    assert tell(move_after(*before), Answered(number=number, answer=answer)) == (event,)


@pytest.mark.parametrize(
    ("before", "number", "answer", "asked"),
    [
        ([], 1, Occupied(product="pot"), [DESTINATION]),
        ([(1, EXPECTED)], 2, TOO_FEW, [SOURCE, DESTINATION]),
        ([(1, EXPECTED)], 2, TooManyLots(lots=300, limit=256), [SOURCE, DESTINATION]),
    ],
)
def test_a_refused_move_lets_go_everywhere_it_asked_the_refuser_included(
    before: list[tuple[int, Answer]], number: int, answer: Answer, asked: list[int]
) -> None:
    move = move_after(*before, (number, answer))

    assert move.status == "refused"
    assert [(ask.actor_id, ask.command) for ask in kinds.intents(move)] == [
        (place, LetGo(step=4)) for place in asked
    ]


def test_a_refused_move_says_why() -> None:
    reason = InsufficientStock(requested=3, available=2)

    for answer in (TOO_FEW, reason):
        move = move_after((2, answer), expects=False)
        assert move.reason == reason
        assert asks(move) == [(SOURCE, "LetGo")]


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        (2, Stale(now_ms=NOW_MS)),  # it is sent again
        (2, None),  # it says not what was sent
        (1, EXPECTED),
        (3, TAKEN),
        (4, GONE),
        (2, EXPECTED),
    ],
)
def test_an_answer_to_what_is_not_asked_means_nothing(number: int, answer: Answer) -> None:
    move = move_after((1, EXPECTED))

    assert tell(move, Answered(number=number, answer=answer)) == ()


def test_units_on_their_way_arrive_whatever_the_destination_says() -> None:
    move = move_after((1, EXPECTED), (2, SENT))

    assert tell(move, Answered(number=3, answer=Occupied(product="pot"))) == ()
    assert asks(move) == [(DESTINATION, "TakeIn")]


def test_a_move_wants_to_be_woken_until_it_has_ended() -> None:
    done: list[tuple[int, Answer]] = [(1, EXPECTED), (2, SENT), (3, TAKEN)]

    assert kinds.wake_at(Move()) is None
    for length in range(4):
        assert kinds.wake_at(move_after(*done[:length])) == AT_ONCE
    assert kinds.wake_at(move_after(*done, (4, GONE))) is None
    assert tell(move_after(), Wake()) == ()


def test_a_move_begins_once() -> None:
    assert kinds.decide(move_after(), request(), now_ms=NOW_MS) == AlreadyBegun()


def test_source_and_destination_are_two_places() -> None:
    same = request(destination=SOURCE)

    assert kinds.decide(Move(), same, now_ms=NOW_MS) == SamePlace()


def test_a_move_survives_as_bytes_at_every_step() -> None:
    done: list[tuple[int, Answer]] = [(1, EXPECTED), (2, SENT), (3, TAKEN), (4, GONE)]
    refused = move_after((1, EXPECTED), (2, TOO_FEW))
    for move in (Move(), refused, *(move_after(*done[:length]) for length in range(5))):
        loaded = kinds.load("move", kinds.dump(move))
        assert loaded == move
        assert kinds.intents(loaded) == kinds.intents(move)
        seen = look(move, MoveQuery())
        assert seen is not None
        assert seen.move == move


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (Pool(), request()),
        (Pool(), Answered(number=1, answer=None)),
        (Move(), PlaceOrder(quantity=1)),
        (Move(), LetGo(step=1)),
    ],
)
def test_a_command_for_another_kind_of_actor_is_a_bug(state: kinds.State, message: Message) -> None:
    with pytest.raises(TypeError, match=f"a {type(message).__name__} is not for a"):
        kinds.decide(state, message, now_ms=NOW_MS)


def test_an_event_of_another_kind_of_actor_is_a_bug_and_changes_nothing() -> None:
    pool, move = Pool(), Move()
    with pytest.raises(TypeError, match="a MoveDone does not happen to a Pool"):
        kinds.evolve(pool, MoveDone(), at_ms=NOW_MS)
    with pytest.raises(TypeError, match="a OrderPlaced does not happen to a Move"):
        kinds.evolve(move, OrderPlaced(quantity=1, picks=((1, 1),)), at_ms=NOW_MS)
    with pytest.raises(TypeError, match="a MoveQuery is not for a Pool"):
        look(pool, MoveQuery())

    assert pool.version == move.version == 0


def test_of_two_hundred_moves_of_different_products_into_one_empty_location_one_wins() -> None:
    """O4."""
    world = World.of(pools=0, singles=201)
    for place in range(1, 201):
        world.ask(place, ReceiveStock(quantity=2, product=f"p{place}"))
    for place in range(1, 201):
        world.begin(product=f"p{place}", source=place, destination=201, quantity=1)
    world.calm()
    [winner] = [move for move in world.moves if world.move(move).status == "done"]
    product = f"p{world.lives[winner].actor_id - 999}"

    assert world.pool(201).balance().on_hand == 1
    assert world.pool(201).product == product
    seen = look(world.pool(201), BalanceQuery(product="p0"))
    assert seen is not None
    assert seen.balance == Balance(
        version=world.pool(201).version, available=0, ordered=0, held=0, expired=0
    )
    assert [world.move(move).reason for move in world.moves if move != winner] == [
        Occupied(product=product)
    ] * 199
    assert sum(world.pool(place).available for place in range(1, 201)) == 399
