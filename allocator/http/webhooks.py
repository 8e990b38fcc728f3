"""Webhooks: who else is told what happens, as operators set it up and look after it."""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from allocator.domain.catalogue import is_code
from allocator.domain.interests import Interest
from allocator.domain.positions import Position, PositionError
from allocator.domain.targets import TargetError
from allocator.domain.webhooks import (
    FORMER_SECRET_MS,
    DeadLetter,
    Standing,
    TooManyError,
    Webhook,
    secret_text,
)
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body
from allocator.http.doors import principal_of
from allocator.http.paging import limit_of, listing, name_cursor, no_query, query
from allocator.http.problems import ProblemError, bad_code, invalid, not_found
from allocator.http.shapes import time_of
from allocator.http.webhook_shapes import (
    PutWebhook,
    RotatedSecret,
    created_shape,
    dead_letter_shape,
    webhook_shape,
)

_put: Final = msgspec.json.Decoder(PutWebhook)


class WebhookHandlers:
    """The routes under /webhooks."""

    def __init__(self, context: Context) -> None:
        self._webhooks = context.webhooks
        self._clock = context.clock

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        letters = "/webhooks/{name}/dead-letters"
        return [
            web.get("/webhooks", self.list, allow_head=False),
            web.put("/webhooks/{name}", self.put),
            web.get("/webhooks/{name}", self.get, allow_head=False),
            web.delete("/webhooks/{name}", self.delete),
            web.post("/webhooks/{name}/rotate", self.rotate),
            web.get(letters, self.list_dead_letters, allow_head=False),
            web.delete(f"{letters}/{{id}}", self.delete_dead_letter),
            web.post(f"{letters}/{{id}}/retry", self.retry_dead_letter),
        ]

    async def put(self, request: web.Request) -> JsonAnswer:
        """Set a webhook up, or change it; its secret is in the answer that creates it."""
        name = request.match_info["name"]
        if not is_code(name):
            raise ProblemError(bad_code("name"))
        body = await decode_body(request, _put)
        kinds = None if body.kinds is None else tuple(dict.fromkeys(body.kinds))
        interest = Interest(warehouse=body.warehouse, product=body.product, kinds=kinds)
        webhook = Webhook(name=name, url=body.url, interest=interest)
        try:
            secret = await self._webhooks.put(webhook, principal=principal_of(request))
        except (TargetError, TooManyError) as error:
            raise ProblemError(invalid(str(error))) from error
        standing = await self._find(name)
        if secret is None:
            return json_answer(webhook_shape(standing))
        return json_answer(created_shape(standing, secret), status=HTTPStatus.CREATED)

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return a webhook, and how its delivery goes."""
        no_query(request)
        return json_answer(webhook_shape(await self._find(_name_of(request))))

    async def list(self, request: web.Request) -> JsonAnswer:
        """List webhooks by name."""
        found = query(request, "limit", "cursor")
        limit = limit_of(found)
        rows = await self._webhooks.all(after=name_cursor(found), limit=limit)
        return json_answer(
            listing(rows, limit=limit, shape=webhook_shape, position=lambda row: row.webhook.name)
        )

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Tell it nothing any more."""
        await _no_body(request)
        name = _name_of(request)
        if not await self._webhooks.delete(name, principal=principal_of(request)):
            raise ProblemError(not_found("webhook"))
        return _done()

    async def rotate(self, request: web.Request) -> JsonAnswer:
        """Return a new secret; the one before signs as well for 24 hours."""
        await _no_body(request)
        name = _name_of(request)
        secret = await self._webhooks.rotate(name, principal=principal_of(request))
        if secret is None:
            raise ProblemError(not_found("webhook"))
        until = time_of(self._clock() + FORMER_SECRET_MS)
        return json_answer(RotatedSecret(secret=secret_text(secret), former_until=until))

    async def list_dead_letters(self, request: web.Request) -> JsonAnswer:
        """List what could not be delivered, oldest first."""
        found = query(request, "limit", "cursor")
        limit, cursor = limit_of(found), name_cursor(found)
        if cursor and not (cursor.isdigit() and len(cursor) < len(str(1 << 63))):
            raise ProblemError(invalid("cursor must be a next_cursor of the same list, unchanged"))
        name = (await self._find(_name_of(request))).webhook.name
        rows = await self._webhooks.dead_letters(name, after=int(cursor or "0"), limit=limit)
        return json_answer(listing(rows, limit=limit, shape=dead_letter_shape, position=_number_of))

    async def retry_dead_letter(self, request: web.Request) -> JsonAnswer:
        """Have it tried again, once; it is a dead letter until it is taken."""
        await _no_body(request)
        name, position = _name_of(request), _position_of(request)
        letter = await self._webhooks.deliver_again(name, position)
        if letter is None:
            raise ProblemError(not_found("dead letter"))
        return json_answer(dead_letter_shape(letter), status=HTTPStatus.ACCEPTED)

    async def delete_dead_letter(self, request: web.Request) -> web.StreamResponse:
        """Give it up."""
        await _no_body(request)
        if not await self._webhooks.forget(_name_of(request), _position_of(request)):
            raise ProblemError(not_found("dead letter"))
        return _done()

    async def _find(self, name: str) -> Standing:
        standing = await self._webhooks.find(name)
        if standing is None:
            raise ProblemError(not_found("webhook"))
        return standing


async def _no_body(request: web.Request) -> None:
    no_query(request)
    if request.body_exists and await request.read() not in {b"", b"{}"}:
        raise ProblemError(invalid("this request takes no body"))


def _name_of(request: web.Request) -> str:
    name = request.match_info["name"]
    if not is_code(name):
        raise ProblemError(not_found("webhook"))
    return name


def _position_of(request: web.Request) -> Position:
    try:
        return Position.of(request.match_info["id"].replace("-", "."))
    except PositionError as error:
        raise ProblemError(not_found("dead letter")) from error


def _number_of(letter: DeadLetter) -> str:
    return str(letter.number)


def _done() -> web.StreamResponse:
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Server": "allocator"})
