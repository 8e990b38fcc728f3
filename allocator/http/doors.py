"""The doors: who asks, whether they may, and how often.

A key comes with every request (RFC 6750). What a header says is looked up in memory, where all
keys are that are not revoked; the database is looked at twice a second for changes, and at once
for a key that is not known, but for all such requests together at most ten times a second. So a
revoked key is shut out within a second, and a flood of wrong keys costs next to nothing.

Nothing here compares secrets: their digests are looked up in a table, and how long that takes says
nothing about 256 drawn bits.

Where no key was ever created the doors stand open, on loopback alone. They shut for ever when the
first one is created, while the server runs.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final, Protocol

import structlog
from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from allocator.domain.api_keys import ROLES, LiveKey, Needed, Role, digest_of, is_secret, may
from allocator.errors import JournalError
from allocator.http.problems import ProblemError, forbidden, rate_limited, unauthenticated

log = structlog.get_logger()

_LOOK_EVERY_S: Final = 0.5
_LOOK_AGAIN_S: Final = 0.1
"""Between two looks that unknown keys ask for."""
_NOTE_EVERY_S: Final = 10.0
_STALE_S: Final = 30.0
"""After so long without a look, nobody is believed: the database answers others, and not us."""
_BURST_S: Final = 1.0
"""So many seconds' worth of requests may come at once."""
_SCHEME: Final = "bearer"


class KeyBook(Protocol):
    """Where keys are kept.

    Every method raises `JournalError` when the database does not answer.
    """

    async def revision(self) -> tuple[int, int]:
        """Return numbers that differ from all former ones if a key was created or revoked.

        The first says how many were ever created.
        """

    async def live(self) -> list[LiveKey]:
        """Return the keys that are not revoked."""

    async def note_use(self, names: Sequence[str], *, at_ms: int) -> None:
        """Remember that these keys were used; an older time changes nothing."""


class Caller:
    """Somebody with a key that is not revoked, or was not when the request began.

    Attributes:
        name: Of the key: the principal of whatever is asked.
        is_revoked: Whether it was revoked since.
        was_used: Since that was last noted.
        free_at_s: When the requests so far are paid for, at the limit of their rate.
    """

    __slots__ = ("free_at_s", "is_revoked", "name", "role", "was_used")

    def __init__(self, name: str, role: Role) -> None:
        self.name = name
        self.role: Role = role
        self.is_revoked = False
        self.was_used = False
        self.free_at_s = 0.0


NOBODY: Final = Caller("", "operator")
"""Who asks where the doors stand open."""

_CALLER: Final = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Return who asks; a long answer should end when they are revoked."""
    caller: Caller = request.get(_CALLER, NOBODY)
    return caller


def principal_of(request: web.Request) -> str:
    """Return the name of the API key that a request came with; "" where none is needed."""
    return caller_of(request).name


class Doors:
    """Lets requests in, or refuses them.

    Args:
        book: Where keys are kept.
        clock: Milliseconds of Unix time.
        may_stand_open: Whether requests need no key as long as there has never been one.
        rate_limit: Requests a second that one key may have; 0 for any number.

    Attributes:
        is_limited: Whether requests have to be counted.
    """

    def __init__(
        self,
        book: KeyBook,
        *,
        clock: Callable[[], int],
        may_stand_open: bool,
        rate_limit: int,
    ) -> None:
        self._book = book
        self._clock = clock
        self._may_stand_open = may_stand_open
        self.is_limited = rate_limit > 0
        self._interval_s = 1 / max(rate_limit, 1)
        self._is_open = False
        self._revision: tuple[int, int] | None = None
        self._callers: dict[bytes, Caller] = {}  # by the digest of the secret
        # Of the callers, as they usually say it; None is who says nothing. Admissions hold it, too.
        self._by_header: dict[str | None, Caller] = {}
        self._looking = asyncio.Lock()
        self._looked = 0  # how many looks have begun
        self._looked_at_s = 0.0
        self._known_at_s = 0.0  # when the last look succeeded
        self._failure: JournalError | None = None  # of the last look
        self._is_current = False

    def admission(self, needed: Needed) -> "Admission":
        """Return what lets a request of an operation in."""
        roles = frozenset(role for role in ROLES if may(role, needed))
        return Admission(self, self._by_header, roles=roles, needed=needed)

    def recognised(self, request: web.Request) -> Caller | None:
        """Return who asks as far as that is known without waiting."""
        if not self._is_current:
            return None
        if self._is_open:
            self._by_header[None] = NOBODY
            return NOBODY
        return self._caller_of(request.headers.get(AUTHORIZATION))

    async def recognise(self, request: web.Request) -> Caller:
        """Return who asks, looking for new keys if need be.

        Raises:
            ProblemError: 401, nobody who may.
            JournalError: The database, which alone would know, does not answer.
        """
        header = request.headers.get(AUTHORIZATION)
        if _secret_in(header) is not None or not self._is_current:
            await self._look_soon()
        if self._is_open:
            return NOBODY
        caller = self._caller_of(header)
        if caller is None:
            raise ProblemError(unauthenticated(is_missing=header is None))
        return caller

    def charge(self, caller: Caller) -> None:
        """Count a request.

        Raises:
            ProblemError: 429, there are too many.
        """
        if caller is NOBODY:
            return
        now_s = monotonic()
        free_at_s = max(caller.free_at_s, now_s) + self._interval_s
        if free_at_s - now_s > _BURST_S + self._interval_s / 2:
            raise ProblemError(rate_limited(round(1 / self._interval_s)))
        caller.free_at_s = free_at_s

    async def open(self) -> None:
        """Learn which keys there are; to be done before anything is served.

        Raises:
            JournalError: The database does not answer.
        """
        await self._look()

    async def run(self) -> None:
        """Keep up with what becomes of keys, for ever; cancel to stop."""
        noted_at_s = monotonic()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                async with self._looking:
                    await self._look()
                if monotonic() - noted_at_s >= _NOTE_EVERY_S:
                    noted_at_s = monotonic()
                    await self.note_use()
            except JournalError as error:
                log.warning("doors.cannot_look", error=str(error))
                if monotonic() - self._known_at_s > _STALE_S:
                    self._is_current = False
                    self._by_header.clear()

    async def note_use(self) -> None:
        """Have it remembered which keys were used since the last time.

        Raises:
            JournalError: The database does not answer.
        """
        used = [caller for caller in self._callers.values() if caller.was_used]
        if used:
            await self._book.note_use([caller.name for caller in used], at_ms=self._clock())
            for caller in used:
                caller.was_used = False

    async def _look_soon(self) -> None:
        """Look, or wait for a look that began after this; it is the same for all who wait."""
        wanted = self._looked + 1
        async with self._looking:
            if self._looked >= wanted:
                if self._failure is not None:
                    raise self._failure
                return
            await asyncio.sleep(self._looked_at_s + _LOOK_AGAIN_S - monotonic())
            await self._look()

    async def _look(self) -> None:
        self._looked += 1
        try:
            revision = await self._book.revision()
            if revision != self._revision:
                self._know(await self._book.live(), has_been=revision[0] > 0)
                self._revision = revision
        except JournalError as error:
            self._failure = error
            raise
        else:
            self._failure = None
            self._is_current = True
            self._known_at_s = monotonic()
        finally:
            self._looked_at_s = monotonic()

    def _know(self, keys: Sequence[LiveKey], *, has_been: bool) -> None:
        former, self._callers = self._callers, {}
        for key in keys:
            known = former.pop(key.secret_digest, None)
            self._callers[key.secret_digest] = known or Caller(key.name, key.role)
        for revoked in former.values():
            revoked.is_revoked = True
        self._by_header.clear()
        self._is_open = self._may_stand_open and not has_been

    def _caller_of(self, header: str | None) -> Caller | None:
        secret = _secret_in(header)
        if header is None or secret is None:
            return None
        caller = self._callers.get(digest_of(secret))
        if caller is not None and len(self._by_header) < 2 * len(self._callers):
            self._by_header[header] = caller
        return caller


class Admission:
    """Lets requests of one operation in.

    Args:
        known: Callers by what their header usually says; the doors keep it up to date.
        roles: Who may.
        needed: What they would have to be, for those who may not.
    """

    __slots__ = ("_doors", "_is_limited", "_known", "_needed", "_roles")

    def __init__(
        self,
        doors: Doors,
        known: Mapping[str | None, Caller],
        *,
        roles: frozenset[Role],
        needed: Needed,
    ) -> None:
        self._doors = doors
        self._known = known
        self._roles = roles
        self._needed = needed
        self._is_limited = doors.is_limited

    def at_once(self, request: web.Request) -> bool:
        """Let a request in; return False if that takes a look at the database.

        Raises:
            ProblemError: 403 or 429.
        """
        caller = self._known.get(request.headers.get(AUTHORIZATION))
        if caller is None and (caller := self._doors.recognised(request)) is None:
            return False
        self._admit(request, caller)
        return True

    async def after_a_look(self, request: web.Request) -> None:
        """Let a request in.

        Raises:
            ProblemError: 401, 403 or 429.
            JournalError: The database does not answer.
        """
        self._admit(request, await self._doors.recognise(request))

    def _admit(self, request: web.Request, caller: Caller) -> None:
        if self._is_limited:
            self._doors.charge(caller)
        caller.was_used = True
        if caller.role not in self._roles:
            raise ProblemError(forbidden(caller.role, needed=self._needed))
        request[_CALLER] = caller


def _secret_in(header: str | None) -> str | None:
    """Return the secret in an Authorization header, or None if there is none that can be right."""
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    return secret if scheme.lower() == _SCHEME and is_secret(secret) else None
