"""Webhooks are told everything of interest, in order, signed, until they take it or it is dead."""

import secrets
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from allocator.persistence.statements import statement
from tests.integration.listening import listening
from tests.integration.receivers import Receiver, receiver
from tests.integration.shop import Shop, opened, until
from tests.integration.truth import query

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Shown(msgspec.Struct, frozen=True):
    """A webhook as the API shows it."""

    name: str
    status: str
    position: str
    attempts: int
    delivered: int
    failed: int
    last_error: str | None
    dead_letters: int
    secret: str = ""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter."""

    id: str
    kind: str
    attempts: int
    error: str
    retrying: bool


class Rotated(msgspec.Struct, frozen=True):
    """A new secret."""

    secret: str


class Hook:
    """A webhook of a test's own."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.path = f"/webhooks/hook-{secrets.token_hex(6)}"
        self.secret = ""

    async def put(self, url: str, **members: object) -> Shown:
        body = {"url": url, "product": self.shop.product, "warehouse": self.shop.warehouse}
        answer = await self.shop.put(self.path, body | members)
        shown = msgspec.json.decode(answer.body, type=Shown)
        assert answer.status == (201 if shown.secret else 200), answer
        self.secret = shown.secret or self.secret
        return shown

    async def shown(self) -> Shown:
        return msgspec.json.decode((await self.shop.get(self.path)).body, type=Shown)

    async def until(self, **members: object) -> Shown:
        """Wait until it is shown so."""
        found: list[Shown] = []

        async def so() -> bool:
            found[:] = [await self.shown()]
            return all(getattr(found[0], name) == value for name, value in members.items())

        await until(so)
        return found[0]

    async def letters(self) -> list[Letter]:
        answer = await self.shop.get(f"{self.path}/dead-letters")
        return msgspec.convert(msgspec.json.decode(answer.body)["items"], list[Letter])

    async def delete(self) -> None:
        assert (await self.shop.send("DELETE", self.path)).status == 204


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_shop(module_database_url: str) -> AsyncIterator[Shop]:
    settings = {"webhook_attempts": 3, "webhook_pause_ms": 40, "webhook_timeout_ms": 500}
    async with opened(module_database_url, **settings) as shop:
        yield shop


@pytest_asyncio.fixture(loop_scope="module")
async def heard() -> AsyncIterator[Receiver]:
    async with receiver() as each:
        yield each


@pytest_asyncio.fixture(loop_scope="module")
async def hook(shop: Shop) -> AsyncIterator[Hook]:
    each = Hook(shop)
    yield each
    await shop.send("DELETE", each.path)


async def test_what_happens_is_delivered_in_order_and_signed(hook: Hook, heard: Receiver) -> None:
    await hook.put(heard.url)
    await hook.shop.received(quantity=50)
    orders = [await hook.shop.placed() for _ in range(9)]

    taken = await heard.until_taken(10)

    assert [one.told.seq for one in taken] == list(range(1, 11))
    assert [one.told.id for one in taken[1:]] == [order.id for order in orders]
    assert all(one.is_signed_with(hook.secret) for one in taken)
    assert {one.headers["content-type"] for one in taken} == {"application/json"}
    assert [one.id for one in taken] == [one.told.position.replace(".", "-") for one in taken]
    assert {one.type for one in taken} == {"stock_received", "order_placed"}
    assert "authorization" not in taken[0].headers
    shown = await hook.until(delivered=10, position=taken[-1].told.position)
    assert (shown.status, shown.failed) == ("delivering", 0)


async def test_what_does_not_interest_is_not_delivered(hook: Hook, heard: Receiver) -> None:
    await hook.put(heard.url, kinds=["order_dispatched"])
    await hook.shop.received(quantity=5)
    await hook.shop.dispatch(await hook.shop.placed())

    taken = await heard.until_taken(1)

    assert [one.type for one in taken] == ["order_dispatched"]


async def test_what_is_not_taken_is_sent_again_the_same_and_holds_back_what_follows(
    hook: Hook, heard: Receiver
) -> None:
    heard.answer = lambda _: 200 if len(heard.came) > 2 else 503
    await hook.put(heard.url)
    await hook.shop.received(quantity=5)
    await hook.shop.placed()

    await heard.until_taken(2)

    assert [one.told.seq for one in heard.came] == [1, 1, 1, 2]
    assert len({(one.id, one.body) for one in heard.came[:3]}) == 1
    shown = await hook.until(delivered=2)
    assert (shown.failed, shown.attempts, shown.last_error) == (2, 0, "answered 503")


async def test_what_is_never_taken_is_a_dead_letter_and_what_follows_goes_on(
    hook: Hook, heard: Receiver
) -> None:
    heard.answer = lambda one: 500 if one.told.kind == "stock_received" else 200
    await hook.put(heard.url)
    await hook.shop.received(quantity=5)
    await hook.shop.placed()

    await heard.until_taken(1)

    [letter] = await hook.letters()
    assert (letter.kind, letter.attempts, letter.error) == ("stock_received", 3, "answered 500")
    assert letter.id == heard.came[0].id
    assert (await hook.until(delivered=1)).dead_letters == 1


async def test_a_dead_letter_is_sent_again_when_asked_and_leaves_when_taken(
    hook: Hook, heard: Receiver
) -> None:
    heard.answer = lambda _: 500
    await hook.put(heard.url)
    await hook.shop.received(quantity=5)
    await hook.until(dead_letters=1)
    [letter] = await hook.letters()
    path = f"{hook.path}/dead-letters/{letter.id}/retry"

    assert (await hook.shop.post(path)).status == 202
    await heard.until(lambda: len(heard.came) == 4)

    async def tried() -> bool:
        return (await hook.letters())[0].attempts == 4

    await until(tried)
    assert not (await hook.letters())[0].retrying
    heard.answer = lambda _: 200
    assert (await hook.shop.post(path)).status == 202
    await hook.until(dead_letters=0, delivered=1)
    assert len({(one.id, one.body) for one in heard.came}) == 1
    assert heard.came[-1].is_signed_with(hook.secret)
    assert (await hook.shop.post(path)).status == 404


async def test_a_dead_letter_can_be_given_up(hook: Hook, heard: Receiver) -> None:
    heard.answer = lambda _: 400
    await hook.put(heard.url)
    await hook.shop.received(quantity=5)
    await hook.until(dead_letters=1)
    [letter] = await hook.letters()
    path = f"{hook.path}/dead-letters/{letter.id}"

    assert (await hook.shop.send("DELETE", path)).status == 204
    assert (await hook.shop.send("DELETE", path)).status == 404
    assert await hook.letters() == []


async def test_a_receiver_that_is_gone_is_left_alone_until_it_is_set_up_again(
    hook: Hook, heard: Receiver
) -> None:
    heard.answer = lambda _: 410
    await hook.put(heard.url)
    await hook.shop.received(quantity=5)
    await hook.until(status="disabled")
    await hook.shop.placed()
    heard.answer = lambda _: 200
    came = len(heard.came)

    assert came == 1
    await hook.put(heard.url)
    await heard.until_taken(2)
    assert [one.told.seq for one in heard.taken] == [1, 2]


async def test_one_that_never_answers_holds_up_nobody_else(
    shop: Shop, hook: Hook, heard: Receiver
) -> None:
    async with receiver() as dead:
        dead.answer = lambda _: -1
        other = Hook(shop)
        await other.put(dead.url)
        await hook.put(heard.url)
        await shop.received(quantity=50)
        for _ in range(5):
            await shop.placed()

        await dead.until(lambda: bool(dead.came))
        await heard.until_taken(6)

        assert len({one.id for one in dead.came}) == 1
        assert (await other.until(attempts=1)).last_error == "no answer in time"
        await other.delete()


async def test_both_secrets_sign_after_a_rotation(hook: Hook, heard: Receiver) -> None:
    await hook.put(heard.url)
    rotated = await hook.shop.post(f"{hook.path}/rotate")
    secret = msgspec.json.decode(rotated.body, type=Rotated).secret

    async def sent_with_both() -> bool:
        await hook.shop.received(quantity=1)
        await heard.until_taken(1)
        return heard.taken[-1].is_signed_with(secret)

    await until(sent_with_both)
    assert secret != hook.secret
    assert heard.taken[-1].is_signed_with(hook.secret)


async def test_a_changed_webhook_goes_on_where_it_was(hook: Hook, heard: Receiver) -> None:
    async with receiver() as former:
        former.answer = lambda _: 500
        await hook.put(former.url)
        await hook.shop.received(quantity=5)
        await hook.until(status="retrying")
        changed = await hook.put(heard.url)

        taken = await heard.until_taken(1)

    assert changed.secret == ""
    assert [one.told.seq for one in taken] == [1]
    assert taken[0].is_signed_with(hook.secret)


async def test_a_deleted_webhook_is_told_nothing_and_may_be_made_anew(
    hook: Hook, heard: Receiver
) -> None:
    await hook.put(heard.url)
    first = hook.secret
    await hook.shop.received(quantity=5)
    await heard.until_taken(1)
    await hook.delete()
    await hook.shop.placed()
    async with listening(hook.shop.url) as ear:  # by the next event, the one before is settled
        await hook.shop.received()
        await ear.next()
    assert (await hook.shop.get(hook.path)).status == 404
    assert len(heard.came) == 1
    await hook.put(heard.url)
    await hook.shop.placed()

    taken = await heard.until_taken(2)

    assert [one.told.seq for one in taken] == [1, 4]
    assert hook.secret != first
    assert taken[-1].is_signed_with(hook.secret)


async def test_redirects_are_not_followed(hook: Hook, heard: Receiver) -> None:
    heard.answer = lambda _: 307
    heard.headers = {"Location": heard.url + "/elsewhere"}
    await hook.put(heard.url)
    await hook.shop.received(quantity=5)
    await hook.until(dead_letters=1)

    assert {one.path for one in heard.came} == {"/hook"}
    [letter] = await hook.letters()
    assert letter.error == "answered 307: redirects are not followed"


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://shop.example/x", "url must begin with https:// unless it leads to this machine"),
        ("https://10.0.0.1/", "must lead to a public address, which 10.0.0.1 is not;"),
        ("https://169.254.169.254/latest", "must lead to a public address"),
        ("https://[::ffff:192.168.1.1]/", "::ffff:192.168.1.1 is 192.168.1.1"),
        ("https://me:secret@shop.example/", "url must have no user name or password"),
        ("https://%31%32%37.0.0.1/", "url must look like https://host/path"),
        ("ftp://shop.example/", "a URL that begins with https:// or http://"),
    ],
)
async def test_addresses_that_only_the_server_can_reach_are_refused(
    shop: Shop, url: str, detail: str
) -> None:
    problem = (await shop.put("/webhooks/x", {"url": url})).problem(422)

    assert detail in problem.detail


async def test_every_change_of_a_webhook_is_journaled(
    module_database_url: str, hook: Hook, heard: Receiver
) -> None:
    await hook.put(heard.url)
    await hook.put(heard.url, kinds=["order_placed"])
    await hook.put(heard.url, kinds=["order_placed"])
    await hook.shop.post(f"{hook.path}/rotate")
    await hook.delete()

    rows = await query(
        module_database_url,
        "SELECT journal.kind, body FROM journal JOIN actors ON id = actor_id WHERE key = $1 "
        "ORDER BY seq",
        f"webhook:{hook.path.rpartition('/')[2]}",
    )
    assert [row["kind"] for row in rows] == [
        "webhook_put",
        "webhook_put",
        "webhook_rotated",
        "webhook_deleted",
    ]
    assert not any("whsec" in row["body"] for row in rows)


async def test_what_is_behind_is_shown(hook: Hook, heard: Receiver) -> None:
    heard.answer = lambda _: 500
    began = time.monotonic()
    await hook.put(heard.url)
    await hook.shop.received(quantity=5)
    await hook.until(status="retrying")
    name = hook.path.rpartition("/")[2]

    async def is_counted() -> bool:
        lag = await hook.shop.metric(f'allocator_webhook_lag_seconds{{webhook="{name}"}}')
        return 0 < lag < time.monotonic() - began + 1

    await until(is_counted)


async def test_webhooks_travel_as_they_were_at_the_cut_and_not_how_far_they_are(
    module_database_url: str, hook: Hook, heard: Receiver
) -> None:
    [cut] = await query(module_database_url, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    name, gone = hook.path.rpartition("/")[2], Hook(hook.shop)
    await hook.put(heard.url, kinds=["order_placed", "order_cancelled"])
    await gone.put(heard.url)
    [before] = await query(
        module_database_url, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid"
    )
    await hook.put(heard.url + "/later")
    await gone.delete()

    assert name not in await carried(module_database_url, cut[0])
    then = (await carried(module_database_url, before["xid"]))[name]
    now = await carried(module_database_url, str(1 << 62))
    assert (then["url"], then["kinds"]) == (heard.url, ["order_placed", "order_cancelled"])
    assert (then["version"], now[name]["version"]) == (1, 2)
    assert now[name]["url"] == heard.url + "/later"
    assert now[gone.path.rpartition("/")[2]]["url"] is None
    stored = await query(module_database_url, "SELECT * FROM webhooks")
    assert {row["name"]: dict(row) for row in stored} == now


async def carried(url: str, xid: str) -> dict[str, dict[str, object]]:
    """What an export of a cut says, as an import would store it."""
    rows = await query(
        url,
        "SELECT known.* FROM ("
        f"SELECT json_agg(row_to_json(each)) AS all FROM ({statement('carry_webhooks')}) AS each"
        ") AS sent, json_populate_recordset(NULL::webhooks, sent.all) AS known",
        1,
        xid,
    )
    return {row["name"]: dict(row) for row in rows}
