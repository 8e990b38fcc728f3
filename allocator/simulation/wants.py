"""What clients of a simulation want."""

from typing import Literal, TypeAlias

import msgspec


class _Want(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a client wants of a pool.

    Attributes:
        product: Of which, where a location holds one at a time, and of what is moved.
    """

    product: str | None = None


class Receive(_Want, frozen=True):
    """A lot comes; it expires after `ttl_ms`, or never."""

    quantity: int
    ttl_ms: int | None = None


class Place(_Want, frozen=True):
    """An order for some units."""

    quantity: int


class Close(_Want, frozen=True):
    """An order ends that somebody placed before: the `which`th that is known, wrapped around."""

    which: int
    dispatch: bool


Sight: TypeAlias = Literal["balance", "order", "lot", "move", "lines", "cart", "checkout", "feed"]


class Look(_Want, frozen=True):
    """The numbers of a pool are read; or something else, the `which`th that is known.

    A cart is the one that is called so.
    """

    what: Sight = "balance"
    which: int = 0


class Steal(_Want, frozen=True):
    """An order under the key of the client's own latest success."""

    quantity: int


class Move(_Want, frozen=True):
    """Units go to another pool.

    Attributes:
        expects: Whether that is a location that holds one product at a time.
    """

    to: int
    quantity: int
    expects: bool = False


class Portion(msgspec.Struct, frozen=True):
    """Units of a pool, as a part of what is wanted together."""

    pool: int
    quantity: int
    product: str | None = None


class Lines(_Want, frozen=True):
    """An order for units of several pools, all or nothing; a pool may be named more than once."""

    portions: tuple[Portion, ...]


class CloseLines(_Want, frozen=True):
    """Such an order ends, or a part of it leaves: the `which`th that is known, wrapped around.

    Attributes:
        part: (line, units) that leave, the line wrapped around; None for all that is left.
    """

    which: int
    dispatch: bool
    part: tuple[int, int] | None = None


class OpenCart(_Want, frozen=True):
    """A cart begins, and is called `cart` by all who want something of it."""

    cart: int
    ttl_ms: int
    cap_ms: int


class SetLine(_Want, frozen=True):
    """A cart is to have so many units of the pool."""

    cart: int
    quantity: int


class CloseCart(_Want, frozen=True):
    """A cart is given up."""

    cart: int


class CheckOut(_Want, frozen=True):
    """A cart is to be paid for."""

    cart: int
    timeout_ms: int


class Resolve(_Want, frozen=True):
    """An operator settles the last attempt to pay for a cart that is known.

    Attributes:
        hasty: Whether he says that it failed, without a look into the provider's books.
    """

    cart: int
    hasty: bool


class Adjust(_Want, frozen=True):
    """Units come to another state; None is outside.

    Attributes:
        quantity: None for all of a lot.
        which: Of the `which`th lot that is known, wrapped around; None for those to expire first.
    """

    source: str | None
    target: str | None
    quantity: int | None
    which: int | None = None


class Count(_Want, frozen=True):
    """A state is to have so many units, if nothing has happened since somebody looked last."""

    state: str
    quantity: int


class Feed(_Want, frozen=True):
    """The warehouse is fed by its own system from now on, or not any more, or asks it soon."""

    what: Literal["put", "delete", "poll"]


_Plain: TypeAlias = (
    Receive | Place | Close | Look | Steal | Move | Lines | CloseLines | Adjust | Count
)
Want: TypeAlias = _Plain | Feed | OpenCart | SetLine | CloseCart | CheckOut | Resolve
