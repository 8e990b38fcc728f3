"""What handlers work with, and the two things that nearly all of them do: decode, and ask."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from hashlib import blake2b
from typing import Final, TypeAlias, TypeVar

import msgspec
from aiohttp import web

from allocator.actors.keys import KeyedRequest
from allocator.actors.messages import Answer, Noted, Outcome
from allocator.actors.ports import Clock
from allocator.actors.router import Router
from allocator.actors.statistics import Figures
from allocator.domain.carts import OpenCart
from allocator.domain.catalogue import PoolRef, is_code
from allocator.domain.ids import IdSeal
from allocator.domain.kinds import Command
from allocator.domain.messages import OpenTicketOption
from allocator.domain.moves import RequestMove
from allocator.domain.orders import RequestOrder
from allocator.feeding.dry_runs import DryRuns
from allocator.feeding.history import History
from allocator.feeding.letterbox import Letterbox
from allocator.http.doors import Doors
from allocator.http.listening import Feed, Webhooks
from allocator.http.paging import no_query
from allocator.http.patterns import in_words
from allocator.http.ports import Asker, Carts, Catalogue, Feeds, Past, Readings, Tickets
from allocator.http.problems import ProblemError, bad_code, invalid, malformed, not_found
from allocator.http.refusals import problem_for

T = TypeVar("T")

KEY_MAX: Final = 255

_JSON: Final = "application/json"
_WHOLE_MAX: Final = 1 << 63
_DIGEST_BYTES: Final = 16
_NEWBORN: Final = 0
"""Stands for the id of an actor that comes into being: a repeat would bring another one."""

Beginning: TypeAlias = OpenTicketOption | RequestMove | RequestOrder | OpenCart
"""Commands with which actors come into being."""


class CartTerms(msgspec.Struct, frozen=True, kw_only=True):
    """On what terms customers have carts.

    Attributes:
        ttl_ms: A cart expires so long after its last change,
        cap_ms: but so long after it was opened at the latest.
        open_max: Carts that one customer may have open.
        timeout_ms: For how long the payment provider may take.
        may_charge: Says whether one more charge would be seen through; None where there is no
            provider.
    """

    ttl_ms: int
    cap_ms: int
    open_max: int
    timeout_ms: int
    may_charge: Callable[[], bool] | None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's parts, as its handlers see them.

    Attributes:
        clock: Returns milliseconds of Unix time.
        states: Those in which units cannot be sold, beside the ones that everybody has.
        figures: Returns what each worker of the server has counted, by its place; None for one
            that is silent.
    """

    asker: Asker
    doors: Doors
    figures: Callable[[], Awaitable[dict[str, Figures | None]]]
    router: Router
    catalogue: Catalogue
    readings: Readings
    tickets: Tickets
    carts: Carts
    cart_terms: CartTerms
    states: tuple[str, ...]
    past: Past
    clock: Clock
    feed: Feed
    webhooks: Webhooks
    feeds: Feeds
    letterbox: Letterbox
    history: History
    dry_runs: DryRuns
    ids: IdSeal
    version: str
    server_version: str

    async def pool(self, place: str, product: str, *, named: str = "warehouse") -> PoolRef:
        """Return the pool that a body names.

        Args:
            place: Code of a warehouse or a location.
            product: Its sku.
            named: How the body calls the place.

        Raises:
            ProblemError: 422, naming what does not exist.
        """
        for name, code in ((named, place), ("product", product)):
            if not is_code(code):  # it may be long: it is not repeated
                raise ProblemError(bad_code(name))
        pool = await self.router.open(place, product)
        if pool is not None:
            return pool
        catalogue = self.catalogue
        if not (await catalogue.warehouse(place) or await catalogue.location(place)):
            raise ProblemError(invalid("no such warehouse", **{named: place}))
        raise ProblemError(invalid("no such product", product=product))

    async def address(self, sealed: str, *, what: str) -> tuple[PoolRef, int]:
        """Return the pool and seq that an id in a path stands for.

        Raises:
            ProblemError: 404, it is no id of ours.
        """
        address = self.ids.unseal(sealed)
        pool = None if address is None else await self.router.pool_of(address[0])
        if address is None or pool is None:
            raise ProblemError(not_found(what))
        return pool, address[1]

    async def ask(  # noqa: PLR0913 (what a request is)
        self,
        actor_id: int,
        command: Command,
        *,
        principal: str,
        key: str | None,
        scope: str,
        instead: Command | None = None,
    ) -> Outcome:
        """Have an actor do something, at most once if there is a key.

        The same key of a principal must come with the same actor, command and `scope` (the kind
        of request). `instead` is decided in the place of the command, unless this is a repeat.

        Raises:
            ProblemError: It refused.
            AllocatorError: It could not be asked, or the outcome is unknown.
        """
        return success(
            await self.send(
                actor_id, command, principal=principal, key=key, scope=scope, instead=instead
            )
        )

    def send(  # noqa: PLR0913 (what a request is)
        self,
        actor_id: int,
        command: Command,
        *,
        principal: str,
        key: str | None,
        scope: str,
        instead: Command | None = None,
    ) -> asyncio.Future[Answer]:
        """Likewise, and return what will hold the answer."""
        if key is None:
            return self.asker.ask(actor_id, instead or command, principal=principal)
        return self.asker.ask_once(
            KeyedRequest(
                actor_id=actor_id,
                command=instead or command,
                principal=principal,
                key=key,
                request_digest=request_digest(actor_id, command, scope=scope),
            )
        )

    async def begin(
        self,
        command: Beginning,
        *,
        principal: str,
        key: str | None,
        scope: str,
        instead: Command | None = None,
    ) -> Outcome:
        """Have an actor come into being, at most once if there is a key; see `ask`.

        A repeat gets the first outcome, and its `actor_id` is that of the first.
        """
        reply = await self.send_beginning(
            command, principal=principal, key=key, scope=scope, instead=instead
        )
        return success(await reply)

    async def send_beginning(
        self,
        command: Beginning,
        *,
        principal: str,
        key: str | None,
        scope: str,
        instead: Command | None = None,
    ) -> asyncio.Future[Answer]:
        """Likewise, and return what will hold the answer as soon as the command is on its way."""
        if key is None:
            actor_id = await self.asker.begin(None)
            return self.asker.ask(actor_id, instead or command, principal=principal)
        # Repeats go the same way, for the worker that got the first one remembers it.
        actor_id = await self.asker.begin(f"{scope}:{principal}/{key}")
        return self.asker.ask_once(
            KeyedRequest(
                actor_id=actor_id,
                command=instead or command,
                principal=principal,
                key=key,
                request_digest=request_digest(_NEWBORN, command, scope=scope),
            )
        )


def success(answer: Answer) -> Outcome:
    """Return an answer that says yes.

    Raises:
        ProblemError: It says no.
    """
    if isinstance(answer, Outcome):
        return answer
    assert not isinstance(answer, Noted), "commands of clients leave events"
    raise ProblemError(problem_for(answer))


def request_digest(actor_id: int, command: Command, *, scope: str) -> bytes:
    """Return 16 bytes that are the same for the same request, however it was spelled."""
    said = b"%b\n%d\n%b" % (scope.encode(), actor_id, msgspec.json.encode(command))
    return blake2b(said, digest_size=_DIGEST_BYTES).digest()


async def decode_body(request: web.Request, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the body as the decoder's type.

    Raises:
        ProblemError: 415, 400 or 422.
        web.HTTPRequestEntityTooLarge: 413.
    """
    return decode(await json_body(request), decoder)


async def json_body(request: web.Request) -> bytes:
    """Return the body, which is said to be JSON.

    Raises:
        ProblemError: 415 or 422.
        web.HTTPRequestEntityTooLarge: 413.
    """
    no_query(request)
    require_json(request)
    return await request.read()


def require_json(request: web.Request) -> None:
    """Accept a body of JSON; raises as `require_media_type`."""
    require_media_type(request, _JSON)


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what the bytes say.

    Raises:
        ProblemError: 400 if they are not JSON, 422 if it is not what is wanted.
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise
            return _decode_again(body, decoder)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ProblemError(invalid(in_words(str(error)))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(malformed(f"the body is not JSON: {error}")) from error


def _decode_again(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what the bytes say if `2.0` is 2: JSON and JSON Schema have one kind of number."""
    return msgspec.convert(_numbers.decode(body), decoder.type)


def _number(literal: str) -> int | float:
    with suppress(ArithmeticError):  # of an exponent of twenty digits
        number = Decimal(literal)
        if abs(number) < _WHOLE_MAX and number == number.to_integral_value():
            return int(number)
    return float(literal)


_numbers: Final[msgspec.json.Decoder[object]] = msgspec.json.Decoder(object, float_hook=_number)


def require_media_type(request: web.Request, wanted: str) -> None:
    """Accept a body of the wanted type, or of none: a bare client means what the route means.

    Raises:
        web.HTTPUnsupportedMediaType: It says that it is something else.
    """
    sent = request.headers.get("Content-Type")
    if sent is None or sent == wanted:
        return
    if request.content_type != wanted:
        raise web.HTTPUnsupportedMediaType(
            text=f"this route takes {wanted}, not {request.content_type}"
        )


def key_of(request: web.Request) -> str | None:
    """Return the Idempotency-Key, or None.

    Raises:
        ProblemError: 422, it is empty, too long, not printable ASCII, or not the only one.
    """
    keys = request.headers.getall("Idempotency-Key", None)
    if keys is None:
        return None
    if len(keys) > 1:
        raise ProblemError(invalid("a request has one Idempotency-Key"))
    key = keys[0]
    if not 1 <= len(key) <= KEY_MAX or not key.isascii() or not key.isprintable():
        raise ProblemError(invalid("Idempotency-Key must be 1 to 255 printable ASCII characters"))
    return key
