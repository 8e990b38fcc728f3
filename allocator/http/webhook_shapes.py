"""What requests and answers about webhooks look like, and the messages that webhooks get."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from allocator.domain.targets import URL_MAX
from allocator.domain.webhooks import (
    PREFIX,
    DeadLetter,
    Standing,
    message_id,
    secret_text,
)
from allocator.http import patterns
from allocator.http.shapes import Body, Code, Happening, Place, Sku, Time, time_of

Told = Literal[
    "stock_received",
    "order_placed",
    "order_dispatched",
    "order_cancelled",
    "lot_expired",
    "ticket_option_opened",
    "product_expected",
    "units_sent",
    "send_refused",
    "units_taken",
    "process_let_go",
    "units_held",
    "hold_refused",
    "hold_confirmed",
    "order_partly_dispatched",
    "feed_attached",
    "lot_reconciled",
    "feed_detached",
    "shortfall_changed",
    "units_adjusted",
    "units_recalled",
    "order_repicked",
    "move_requested",
    "move_expected",
    "move_sent",
    "move_done",
    "move_refused",
    "move_ended",
    "order_requested",
    "order_accepted",
    "order_declined",
    "lines_dispatched",
    "lines_cancelled",
    "lines_settled",
    "cart_opened",
    "line_wanted",
    "line_held",
    "line_refused",
    "cart_closed",
    "cart_expired",
    "cart_ended",
    "checkout_begun",
    "checkout_paid",
    "checkout_failed",
    "checkout_unknown",
    "refund_due",
    "feed_put",
    "feed_deleted",
    "feed_ended",
    "poll_begun",
    "poll_ended",
    "run_begun",
    "part_ended",
    "run_ended",
    "warehouse_put",
    "location_put",
    "product_put",
]
"""`TOLD_KINDS`, for those who read types."""

Url = Annotated[
    str,
    Meta(
        pattern=patterns.URL,
        max_length=URL_MAX,
        description="where messages are posted; https, unless it is this machine",
        examples=["https://shop.example/stock-events"],
    ),
]
Secret = Annotated[
    str,
    Meta(
        pattern=rf"^{PREFIX}[A-Za-z0-9+/]+=*\Z",
        description="what messages are signed with; it is shown this once",
    ),
]
MessageId = Annotated[
    str,
    Meta(
        pattern=r"^\d+-\d+-\d+-\d+\Z",
        description="the `webhook-id` of a message, the same whenever it is sent",
        examples=["1-7482-27136-5"],
    ),
]
Reached = Annotated[str, Meta(description="up to where everything was dealt with")]
Count = Annotated[int, Meta(ge=0)]


class PutWebhook(Body, frozen=True, kw_only=True):
    """Who is to be told, and of what."""

    url: Url
    product: Code | None = None
    warehouse: Code | None = None
    kinds: Annotated[list[Told], Meta(min_length=1, max_length=50)] | None = None


class ShownWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told, and how that goes."""

    name: Code
    url: Url
    product: Sku | None
    warehouse: Place | None
    kinds: list[str] | None
    status: Annotated[
        Literal["delivering", "retrying", "disabled"],
        Meta(description="`retrying`: the next message was not taken, and is tried again"),
    ]
    created_at: Time
    position: Reached
    attempts: Annotated[Count, Meta(description="how often the next message was tried in vain")]
    retry_at: Annotated[Time, Meta(description="when it is tried again")] | None
    delivered: Annotated[Count, Meta(description="messages that were taken")]
    delivered_at: Time | None
    failed: Annotated[Count, Meta(description="attempts that were in vain")]
    last_error: Annotated[str, Meta(description="why the newest of them was")] | None
    last_error_at: Time | None
    dead_letters: Annotated[Count, Meta(description="messages that were given up")]


class CreatedWebhook(ShownWebhook, frozen=True, kw_only=True):
    """A new webhook, and its secret."""

    secret: Secret


class RotatedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The secret from now on; the one before signs as well, for a while."""

    secret: Secret
    former_until: Time


class ShownDeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was not taken, however often it was tried."""

    id: MessageId
    position: Reached
    kind: str
    attempts: Count
    error: Annotated[str, Meta(description="why the last attempt was in vain")]
    died_at: Time
    retrying: Annotated[bool, Meta(description="whether it is about to be tried again")]
    message: Annotated[msgspec.Raw, Meta(description="what is sent")]


class WebhookMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a message."""

    type: Annotated[str, Meta(description="the kind of what happened")]
    timestamp: Annotated[Time, Meta(description="when it happened")]
    data: Happening


def webhook_shape(standing: Standing) -> ShownWebhook:
    """Show a webhook."""
    webhook, interest = standing.webhook, standing.webhook.interest
    status: Literal["delivering", "retrying", "disabled"] = "disabled"
    if standing.enabled:
        status = "retrying" if standing.attempts else "delivering"
    return ShownWebhook(
        name=webhook.name,
        url=webhook.url,
        product=interest.product,
        warehouse=interest.warehouse,
        kinds=None if interest.kinds is None else list(interest.kinds),
        status=status,
        created_at=time_of(standing.created_at_ms),
        position=str(standing.position),
        attempts=standing.attempts,
        retry_at=None if standing.retry_at_ms is None else time_of(standing.retry_at_ms),
        delivered=standing.delivered,
        delivered_at=None
        if standing.delivered_at_ms is None
        else time_of(standing.delivered_at_ms),
        failed=standing.failed,
        last_error=standing.last_error,
        last_error_at=(
            None if standing.last_error_at_ms is None else time_of(standing.last_error_at_ms)
        ),
        dead_letters=standing.dead_letters,
    )


def created_shape(standing: Standing, secret: bytes) -> CreatedWebhook:
    """Show a new webhook, this once with its secret."""
    shown = msgspec.structs.asdict(webhook_shape(standing))
    return CreatedWebhook(secret=secret_text(secret), **shown)


def dead_letter_shape(letter: DeadLetter) -> ShownDeadLetter:
    """Show a dead letter."""
    return ShownDeadLetter(
        id=message_id(letter.position),
        position=str(letter.position),
        kind=letter.kind,
        attempts=letter.attempts,
        error=letter.error,
        died_at=time_of(letter.died_at_ms),
        retrying=letter.again,
        message=msgspec.Raw(letter.body.encode()),
    )
