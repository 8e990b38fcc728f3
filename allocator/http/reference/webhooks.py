"""The operations under /webhooks."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import msgspec

from allocator.domain.ids import IdSeal
from allocator.domain.webhooks import secret_text
from allocator.http.reference.events import EXAMPLE
from allocator.http.reference.operation import DECODING, PAGE, READING, Answer, Body, Operation
from allocator.http.shapes import Listing
from allocator.http.shaping import happening_of
from allocator.http.webhook_shapes import (
    CreatedWebhook,
    PutWebhook,
    RotatedSecret,
    ShownDeadLetter,
    ShownWebhook,
    WebhookMessage,
)

LETTER_ID: Final = "1-7482-27136-2"

_OK: Final = HTTPStatus.OK
_AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_URL: Final = "https://shop.example/stock-events"
_SECRET: Final = secret_text(bytes(range(32)))

_SHOWN: Final = ShownWebhook(
    name="shop",
    url=_URL,
    product=None,
    warehouse="main",
    kinds=["order_placed", "order_cancelled"],
    status="delivering",
    created_at=_AT,
    position="1.7480.512.1",
    attempts=0,
    retry_at=None,
    delivered=0,
    delivered_at=None,
    failed=0,
    last_error=None,
    last_error_at=None,
    dead_letters=0,
)
_HAPPENING: Final = happening_of(EXAMPLE, IdSeal(bytes(32)))
_MESSAGE: Final = WebhookMessage(type=_HAPPENING.kind, timestamp=_HAPPENING.at, data=_HAPPENING)
_LETTER: Final = ShownDeadLetter(
    id=LETTER_ID,
    position="1.7482.27136.2",
    kind="order_placed",
    attempts=14,
    error="answered 500",
    died_at=_AT,
    retrying=False,
    message=msgspec.Raw(msgspec.json.encode(_MESSAGE)),
)
_BODILESS: Final = ("malformed-body", "content-too-large", "not-found", "invalid-request", *READING)

WEBHOOK_OPERATIONS: Final = (
    Operation(
        method="PUT",
        path="/webhooks/{name}",
        name="put_webhook",
        tag="Webhooks",
        role="operator",
        summary="Set a webhook up, or change it",
        meaning="A new one is told what happens from now on, by `POST` to `url`; the answer has "
        "its secret, this once. A changed one goes on where it was, and keeps its secret; one "
        "that was disabled is enabled. All but `url` narrow down what it is told.\n\n"
        "Messages are those of Standard Webhooks: the headers `webhook-id`, `webhook-timestamp` "
        "(seconds) and `webhook-signature` (`v1,` and the Base64 of HMAC-SHA256 over id, "
        "timestamp and body, with full stops between), made with what the secret encodes after "
        "`whsec_`. The body has `type`, `timestamp` and `data`, which is that of `/events`. They "
        "come in order, each at least once: a repeat has the same `webhook-id`. Answer 2xx "
        "within 10 seconds; anything else is tried again with growing pauses, and given up after "
        "14 attempts. 410 disables the webhook. Redirects are not followed.\n\n"
        "`url` must be of `https` and lead to a public address, or lead to the server's "
        "own machine, unless its operator chose otherwise. There can be 100 webhooks.",
        body=Body(
            shape=PutWebhook,
            example=PutWebhook(
                url=_URL, warehouse="main", kinds=["order_placed", "order_cancelled"]
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="It was created",
                shape=CreatedWebhook,
                example=CreatedWebhook(secret=_SECRET, **msgspec.structs.asdict(_SHOWN)),
            ),
            Answer(status=_OK, meaning="It existed, and is so now", shape=ShownWebhook),
        ),
        problems=(*DECODING, *READING),
    ),
    Operation(
        method="GET",
        path="/webhooks",
        name="list_webhooks",
        tag="Webhooks",
        role="operator",
        summary="List webhooks",
        meaning="By name, each with how its delivery goes.",
        query=PAGE,
        answers=(
            Answer(
                status=_OK,
                meaning="A page of webhooks",
                shape=Listing[ShownWebhook],
                example=Listing(items=[_SHOWN], next_cursor=None),
            ),
        ),
        problems=("invalid-request", *READING),
    ),
    Operation(
        method="GET",
        path="/webhooks/{name}",
        name="get_webhook",
        tag="Webhooks",
        role="operator",
        summary="Read a webhook",
        meaning="And how its delivery goes: up to where it has come, what it waits for, and why.",
        answers=(Answer(status=_OK, meaning="The webhook", shape=ShownWebhook, example=_SHOWN),),
        problems=("not-found", "invalid-request", *READING),
    ),
    Operation(
        method="POST",
        path="/webhooks/{name}/rotate",
        name="rotate_webhook",
        tag="Webhooks",
        role="operator",
        summary="Give a webhook a new secret",
        meaning="For 24 hours messages are signed with both, so that the receiver can change over "
        "at any time. The request has no body.",
        answers=(
            Answer(
                status=_OK,
                meaning="The new secret, shown this once",
                shape=RotatedSecret,
                example=RotatedSecret(secret=_SECRET, former_until=_AT),
            ),
        ),
        problems=_BODILESS,
    ),
    Operation(
        method="GET",
        path="/webhooks/{name}/dead-letters",
        name="list_dead_letters",
        tag="Webhooks",
        role="operator",
        summary="List what could not be delivered",
        meaning="Oldest first. With 1,000 of them the webhook is disabled, so that none is lost.",
        query=PAGE,
        answers=(
            Answer(
                status=_OK,
                meaning="A page of messages",
                shape=Listing[ShownDeadLetter],
                example=Listing(items=[_LETTER], next_cursor=None),
            ),
        ),
        problems=("not-found", "invalid-request", *READING),
    ),
    Operation(
        method="POST",
        path="/webhooks/{name}/dead-letters/{id}/retry",
        name="retry_dead_letter",
        tag="Webhooks",
        role="operator",
        summary="Try to deliver a message again",
        meaning="Once, within a second or two, out of its order. It leaves the list when it is "
        "taken. The request has no body.",
        answers=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                meaning="It will be",
                shape=ShownDeadLetter,
                example=msgspec.structs.replace(_LETTER, retrying=True),
            ),
        ),
        problems=_BODILESS,
    ),
    Operation(
        method="DELETE",
        path="/webhooks/{name}/dead-letters/{id}",
        name="delete_dead_letter",
        tag="Webhooks",
        role="operator",
        summary="Give a message up",
        meaning="For good. The request has no body.",
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="It is gone"),),
        problems=_BODILESS,
    ),
    Operation(
        method="DELETE",
        path="/webhooks/{name}",
        name="delete_webhook",
        tag="Webhooks",
        role="operator",
        summary="Delete a webhook",
        meaning="And its dead letters. It is told nothing more, but for what is on its way. The "
        "request has no body.",
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="It is gone"),),
        problems=_BODILESS,
    ),
)
