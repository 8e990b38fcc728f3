"""The doors as they are asked: what they know, what they look up, and when they believe nobody."""

import asyncio
from collections.abc import Sequence

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Request

from allocator.domain.api_keys import LiveKey, Needed, Role, digest_of
from allocator.errors import JournalError
from allocator.http import doors as module
from allocator.http.doors import Admission, Doors, caller_of, principal_of
from allocator.http.problems import ProblemError
from tests.integration.letting_in import bearing, secret_of


class Book:
    """Keys in memory, that count how often they are asked for."""

    def __init__(self, **roles: Role) -> None:
        self.roles = roles
        self.created = len(roles)
        self.looks = 0
        self.is_away = False
        self.used: list[str] = []

    async def revision(self) -> tuple[int, int]:
        self.looks += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise JournalError("away")
        return self.created, self.created - len(self.roles)

    async def live(self) -> list[LiveKey]:
        return [
            LiveKey(name=name, role=role, secret_digest=digest_of(secret_of(name)))
            for name, role in self.roles.items()
        ]

    async def note_use(self, names: Sequence[str], *, at_ms: int) -> None:
        assert at_ms == 7
        self.used += names


def doors_of(book: Book, *, loopback: bool = True, rate_limit: int = 0) -> Doors:
    return Doors(book, clock=lambda: 7, may_stand_open=loopback, rate_limit=rate_limit)


def asked(name: str | None = None) -> Request:
    return make_mocked_request(
        "GET", "/orders", headers={} if name is None else bearing(secret_of(name))
    )


async def admit(doors: Doors, request: Request, needed: Needed = "any") -> str:
    """What becomes of a request: who it is from, or the type of the problem."""
    admission = doors.admission(needed)
    try:
        if not admission.at_once(request):
            await admission.after_a_look(request)
    except ProblemError as error:
        return f"/problems/{error.problem.type}"
    return principal_of(request)


def is_let_in(admission: Admission, request: Request) -> bool:
    """Whether there was not too much before."""
    try:
        return admission.at_once(request)
    except ProblemError as error:
        return error.problem.status != 429


@pytest.fixture
def time_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test moves."""
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


async def test_who_is_known_is_let_in_without_a_look() -> None:
    book = Book(shop="client")
    doors = doors_of(book)
    await doors.open()
    for _ in range(10):
        assert await admit(doors, asked("shop"), "client") == "shop"

    assert book.looks == 1
    assert await admit(doors, asked("shop"), "stock") == "/problems/forbidden"
    assert await admit(doors, asked()) == "/problems/unauthenticated"
    assert book.looks == 1, "who says nothing is not looked for"


async def test_where_there_was_never_a_key_only_this_machine_needs_none() -> None:
    for loopback in (True, False):
        doors = doors_of(Book(), loopback=loopback)
        await doors.open()

        said = await admit(doors, asked(), "operator")
        assert said == ("" if loopback else "/problems/unauthenticated")


async def test_the_doors_stay_shut_when_the_last_key_is_revoked() -> None:
    book = Book(shop="client")
    doors = doors_of(book)
    await doors.open()
    request = asked("shop")
    assert await admit(doors, request) == "shop"
    book.roles = {}
    await doors.open()

    assert caller_of(request).is_revoked
    assert await admit(doors, asked("shop")) == "/problems/unauthenticated"
    assert await admit(doors, asked()) == "/problems/unauthenticated"


async def test_many_unknown_keys_share_one_look_and_a_new_one_is_found_by_it() -> None:
    book = Book(shop="client")
    doors = doors_of(book)
    await doors.open()
    book.roles["new"] = "stock"
    book.created += 1
    said = await asyncio.gather(
        *(admit(doors, asked(f"wrong {number}")) for number in range(100)),
        admit(doors, asked("new"), "stock"),
    )

    assert said == ["/problems/unauthenticated"] * 100 + ["new"]
    assert book.looks == 2


async def test_however_many_unknown_keys_come_one_after_the_other_looks_are_few() -> None:
    book = Book(shop="client")
    doors = doors_of(book)
    await doors.open()
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 0.35
    while loop.time() < until_s:
        assert await admit(doors, asked("wrong")) == "/problems/unauthenticated"

    assert book.looks <= 6


async def test_who_cannot_be_looked_up_is_told_to_come_again_and_not_that_he_is_nobody() -> None:
    book = Book(shop="client")
    doors = doors_of(book)
    await doors.open()
    book.is_away = True
    said = await asyncio.gather(
        *(admit(doors, asked("new")) for _ in range(3)), return_exceptions=True
    )

    assert [type(each) for each in said] == [JournalError] * 3
    assert await admit(doors, asked("shop")) == "shop", "who is known is let in meanwhile"


async def test_nobody_is_believed_when_revocations_have_not_been_heard_of_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(module, "_STALE_S", 0.02)
    book = Book(shop="client")
    doors = doors_of(book)
    await doors.open()
    book.is_away = True
    running = asyncio.create_task(doors.run())
    async with asyncio.timeout(30):
        while True:
            try:
                assert await admit(doors, asked("shop")) == "shop"
            except JournalError:
                break
            await asyncio.sleep(0.001)
        book.is_away = False
        while True:
            try:
                assert await admit(doors, asked("shop")) == "shop"
            except JournalError:
                continue
            break
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_rate_is_a_second_s_worth_at_once_and_then_one_at_a_time(
    time_s: list[float],
) -> None:
    doors = doors_of(Book(shop="client", other="client"), rate_limit=10)
    await doors.open()

    def admitted(name: str, times: int) -> int:
        admission = doors.admission("any")
        return [is_let_in(admission, asked(name)) for _ in range(times)].count(True)

    assert admitted("shop", 50) == 10
    time_s[0] += 0.25
    assert admitted("shop", 50) == 2
    time_s[0] += 100
    assert admitted("shop", 50) == 10, "what was not used is not saved up"
    assert admitted("other", 50) == 10


async def test_use_is_noted_once_of_whoever_was_there() -> None:
    book = Book(shop="client", depot="stock", idle="client")
    doors = doors_of(book)
    await doors.open()
    for name in ("shop", "shop", "depot"):
        await admit(doors, asked(name))
    await admit(doors, asked("idle"), "stock")
    await doors.note_use()
    await doors.note_use()

    assert sorted(book.used) == ["depot", "idle", "shop"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER  "])
async def test_a_scheme_is_one_however_it_is_spelled(scheme: str) -> None:
    """RFC 9110 §11.1."""
    doors = doors_of(Book(shop="client"))
    await doors.open()
    headers = {"Authorization": f"{scheme} {secret_of('shop')}"}
    for _ in range(3):
        assert await admit(doors, make_mocked_request("GET", "/", headers=headers)) == "shop"
