"""A cart, step by step: edits, expiry, and its end."""

import msgspec
import pytest

from allocator.domain import kinds
from allocator.domain.carts import (
    EDITS_MAX,
    LINES_MAX,
    POOLS_MAX,
    Cart,
    CartClosed,
    CartEnded,
    CartExpired,
    CartNotOpen,
    CloseCart,
    LineHeld,
    LineRefused,
    LineWanted,
    OpenCart,
    SetLine,
    TooManyEdits,
    TooManyLines,
)
from allocator.domain.holds import AlreadyHeld, Hold, UnitsHeld
from allocator.domain.messages import AlreadyBegun, InsufficientStock, Wake
from allocator.domain.orders import CancelLines, DispatchLines, NotOpen
from allocator.domain.processes import AT_ONCE, Answered, Ask
from allocator.domain.queries import CartQuery, LinesQuery, View, look
from allocator.domain.transfers import LetGo
from tests.builders import NOW_MS
from tests.shopping import CAP_MS, MINUTE_MS, TTL_MS, cart_with, hear, held, line, refused, say

EXPIRY_MS = NOW_MS + TTL_MS


def test_a_cart_is_opened_once() -> None:
    cart = cart_with()

    assert say(cart, OpenCart(ttl_ms=TTL_MS, cap_ms=CAP_MS)) == AlreadyBegun()
    assert (cart.status, cart.customer, cart.expires_at_ms) == ("open", "7", EXPIRY_MS)


def test_what_is_wanted_is_held_under_the_seq_of_its_event() -> None:
    cart = cart_with()

    assert say(cart, SetLine(line=line(5, 3, told="tea"))) == (
        LineWanted(line=line(5, 3, told="tea")),
    )
    assert kinds.intents(cart) == (
        Ask(number=2, actor_id=5, command=Hold(step=2, quantity=3, product="tea")),
    )
    assert hear(cart, held(cart, 3)) == (LineHeld(edit=2, order=45, picks=((1, 3),)),)
    assert kinds.intents(cart) == ()


def test_edits_are_asked_for_one_after_the_other() -> None:
    cart = cart_with()
    for pool in (5, 6):
        say(cart, SetLine(line=line(pool, 1)))

    assert [ask.actor_id for ask in kinds.intents(cart)] == [5]
    hear(cart, held(cart, 1))
    assert [(ask.number, ask.actor_id) for ask in kinds.intents(cart)] == [(3, 6)]


def test_a_refused_edit_leaves_the_line_as_it_was_and_says_how_many_there_were() -> None:
    cart = cart_with(2)
    say(cart, SetLine(line=line(1, 9)))
    edit = cart.version

    assert hear(cart, refused(cart, available=4)) == (
        LineRefused(edit=edit, requested=9, available=4),
    )
    [left] = cart.lines
    assert (left.line.quantity, left.picks, left.order) == (2, ((1, 2),), 41)
    assert (left.edit, left.refused) == (edit, (9, 4))


def test_a_line_holds_what_it_grew_and_shrank_by() -> None:
    cart = cart_with(2)
    say(cart, SetLine(line=line(1, 4)))
    grown = UnitsHeld(process=9, step=4, order=41, quantity=4, added=((1, 1), (2, 1)))
    hear(cart, grown)
    assert cart.lines[0].picks == ((1, 3), (2, 1))
    say(cart, SetLine(line=line(1, 2)))
    shrunk = UnitsHeld(process=9, step=6, order=41, quantity=2, returned=((2, 1), (1, 1)))
    hear(cart, shrunk)
    [left] = cart.lines
    assert left.picks == ((1, 2),)


def test_an_answer_that_was_lost_is_given_again_whole() -> None:
    cart = cart_with(2)
    say(cart, SetLine(line=line(1, 3)))
    hear(cart, AlreadyHeld(order=41, picks=((1, 2), (3, 1))))

    assert cart.lines[0].picks == ((1, 2), (3, 1))


def test_an_answer_that_is_not_what_was_asked_is_asked_for_again() -> None:
    cart = cart_with(2)
    say(cart, SetLine(line=line(1, 3)))

    assert hear(cart, AlreadyHeld(order=41, picks=((1, 2),))) == ()
    assert hear(cart, None) == ()
    assert len(kinds.intents(cart)) == 1


def test_a_line_is_removed_with_none_left_and_what_never_was_there_needs_nobody() -> None:
    cart = cart_with(2)
    assert say(cart, SetLine(line=line(2, 0))) == ()

    say(cart, SetLine(line=line(1, 0)))
    hear(cart, UnitsHeld(process=9, step=4, order=41, quantity=0, returned=((1, 2),)))
    assert cart.filled() == ()


def test_so_many_edits_wait_and_no_more() -> None:
    cart = cart_with()
    for pool in range(1, EDITS_MAX + 1):
        say(cart, SetLine(line=line(pool, 1)))

    assert say(cart, SetLine(line=line(99, 1))) == TooManyEdits(limit=EDITS_MAX)


def test_a_cart_has_so_many_lines_at_a_time() -> None:
    cart = cart_with(*[1] * LINES_MAX)
    another = SetLine(line=line(LINES_MAX + 1, 1))
    assert say(cart, another) == TooManyLines(limit=LINES_MAX)

    say(cart, SetLine(line=line(1, 0)))
    assert isinstance(say(cart, another), tuple)
    assert say(cart, SetLine(line=line(1, 1))) == TooManyLines(limit=LINES_MAX)


def test_a_cart_has_had_so_many_lines_at_most() -> None:
    cart = cart_with()
    for pool in range(1, POOLS_MAX + 1):
        say(cart, SetLine(line=line(pool, 1)))
        hear(cart, refused(cart, available=0))

    another = SetLine(line=line(POOLS_MAX + 1, 1))
    assert say(cart, another) == TooManyLines(limit=POOLS_MAX, removed=True)
    assert isinstance(say(cart, SetLine(line=line(1, 1))), tuple)


def test_a_location_that_holds_one_product_for_the_cart_has_no_other_one() -> None:
    cart = cart_with(2)

    assert say(cart, SetLine(line=line(1, 1, product="pot"))) == InsufficientStock(
        requested=1, available=0
    )
    assert say(cart, SetLine(line=line(1, 0, product="pot"))) == ()
    say(cart, SetLine(line=line(1, 0)))
    assert isinstance(say(cart, SetLine(line=line(1, 1, product="pot"))), tuple)


def test_each_edit_has_the_cart_expire_later_up_to_its_cap() -> None:
    cart = cart_with()
    for minutes, left in ((5, 20), (15, 30), (29, 44), (43, 58), (57, 60)):
        say(cart, SetLine(line=line(minutes, 1)), now_ms=NOW_MS + minutes * MINUTE_MS)

        assert kinds.wake_at(cart) == cart.expires_at_ms == NOW_MS + left * MINUTE_MS


def test_a_cart_expires_when_its_time_has_come_and_not_before() -> None:
    cart = cart_with(2)

    assert kinds.wake_at(cart) == kinds.due_at(cart) == EXPIRY_MS
    assert say(cart, Wake(), now_ms=EXPIRY_MS - 1) == ()
    assert say(cart, Wake(), now_ms=EXPIRY_MS) == (CartExpired(),)
    assert say(cart, Wake(), now_ms=EXPIRY_MS) == ()


@pytest.mark.parametrize("command", [SetLine(line=line(1, 1)), CloseCart()])
def test_nobody_gets_ahead_of_an_expiry_that_nobody_has_noticed(command: kinds.Command) -> None:
    cart = cart_with(2)

    assert say(cart, command, now_ms=EXPIRY_MS) == CartNotOpen(status="expired")
    assert isinstance(say(cart, command, now_ms=EXPIRY_MS - 1), tuple)


def test_a_cart_that_ends_lets_go_wherever_it_asked() -> None:
    """Of what was removed, too, and of what is just being asked for; not of what waits."""
    cart = cart_with(2, 1)
    say(cart, SetLine(line=line(2, 0)))
    hear(cart, UnitsHeld(process=9, step=6, order=42, quantity=0, returned=((1, 1),)))
    for pool in (3, 4):
        say(cart, SetLine(line=line(pool, 1)))
    assert say(cart, CloseCart()) == (CartClosed(),)
    seq = cart.version

    assert kinds.intents(cart) == tuple(
        Ask(number=seq, actor_id=pool, command=LetGo(step=seq, of_cart=True)) for pool in (1, 2, 3)
    )
    assert kinds.wake_at(cart) == AT_ONCE
    assert not kinds.has_ended(cart)
    assert hear(cart, None) == (CartEnded(),)
    assert (kinds.intents(cart), kinds.wake_at(cart)) == ((), None)
    assert kinds.has_ended(cart)


def test_a_cart_that_asked_nobody_has_ended_at_once() -> None:
    cart = cart_with()
    say(cart, CloseCart())

    assert kinds.has_ended(cart)
    assert say(cart, SetLine(line=line(1, 1))) == CartNotOpen(status="closed")


def test_what_comes_in_after_the_end_changes_nothing() -> None:
    cart = cart_with(2)
    say(cart, SetLine(line=line(1, 3)))
    late = held(cart, 1)
    say(cart, CloseCart())
    version = cart.version
    told = Answered(number=late.step, answer=late)

    assert say(cart, told) == ()
    assert cart.version == version


def test_a_reader_waits_for_the_edit_that_it_asks_about() -> None:
    cart = cart_with(2)
    say(cart, SetLine(line=line(1, 3)))
    edit = cart.version

    assert look(cart, CartQuery(edit=edit)) is None
    assert look(cart, CartQuery()) is not None
    hear(cart, held(cart, 1))
    seen = look(cart, CartQuery(edit=edit))
    assert seen is not None
    assert seen.cart == cart


def test_a_reader_does_not_wait_for_what_will_never_be() -> None:
    cart = cart_with()
    say(cart, SetLine(line=line(1, 3)))
    edit = cart.version
    say(cart, CloseCart())

    assert look(cart, CartQuery(edit=edit)) is not None


def test_what_was_seen_does_not_change_any_more_and_can_travel() -> None:
    cart = cart_with(2)
    seen = look(cart, CartQuery())
    say(cart, CloseCart())

    assert seen is not None
    assert seen.cart is not None
    assert seen.cart.status == "open"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(seen), type=View) == seen


def test_a_cart_is_no_order_before_it_is_paid_for() -> None:
    cart = cart_with(2)

    assert say(cart, DispatchLines()) == say(cart, CancelLines()) == NotOpen(status="")
    assert look(cart, LinesQuery(decided=True)) == View()


def test_a_cart_is_told_only_what_is_for_carts() -> None:
    with pytest.raises(TypeError, match="a SetLine is not for a Order"):
        kinds.decide(kinds.blank("order"), SetLine(line=line(1, 1)), now_ms=NOW_MS)
    with pytest.raises(TypeError, match="a CartExpired does not happen to a Pool"):
        kinds.evolve(kinds.blank("pool"), CartExpired(), at_ms=NOW_MS)
    with pytest.raises(TypeError, match="a CartQuery is not for a Order"):
        look(kinds.blank("order"), CartQuery())


def test_a_cart_begins_with_its_first_message_and_recovers_as_what_it_was() -> None:
    cart = cart_with(2, 1)

    assert kinds.kind_begun_by(OpenCart(ttl_ms=1, cap_ms=1)) == kinds.kind_of("cart") == "cart"
    assert kinds.blank("cart") == Cart()
    assert kinds.load("cart", kinds.dump(cart)) == cart
