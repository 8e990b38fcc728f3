"""Webhooks: who else is told what happens, at which address, and how he knows that it is us.

Messages are those of Standard Webhooks (https://www.standardwebhooks.com): an id that stays the
same whenever one is sent again, the time at which it is sent, and a signature over both and the
body, made with a secret that only the receiver and we have.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from allocator.domain.interests import Interest
from allocator.domain.positions import Position

WEBHOOK_PUT: Final = "webhook_put"
WEBHOOK_ROTATED: Final = "webhook_rotated"
WEBHOOK_DELETED: Final = "webhook_deleted"
"""Kinds of the events that a webhook journals; the body of the first is what it is from now on."""

WEBHOOKS_MAX: Final = 100
DEAD_LETTERS_MAX: Final = 1_000
"""Of one webhook; with as many it is disabled, so that nothing is lost and nothing piles up."""

SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"
FORMER_SECRET_MS: Final = 24 * 3_600_000
"""So long the secret before the present one signs as well."""

_ERROR_MAX: Final = 300
_PAUSE_MAX_MS: Final = 3_600_000


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told, and of what."""

    name: str
    url: str
    interest: Interest


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, and how far its delivery has come.

    Attributes:
        enabled: Whether anything is delivered.
        position: Everything up to it was delivered, or is a dead letter.
        attempts: How often what comes next was tried in vain; 0 if it was not.
        retry_at_ms: When it is tried again.
        delivered: How many messages were taken.
        failed: How many attempts were in vain.
        last_error: Why the newest of them was.
        dead_letters: How many there are now.
    """

    webhook: Webhook
    created_at_ms: int
    enabled: bool
    position: Position
    attempts: int
    retry_at_ms: int | None
    delivered: int
    delivered_at_ms: int | None
    failed: int
    last_error: str | None
    last_error_at_ms: int | None
    dead_letters: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was not taken.

    Attributes:
        number: Later ones have greater numbers.
        body: As it was sent.
        again: Whether it is about to be tried again.
    """

    number: int
    position: Position
    kind: str
    body: str
    attempts: int
    error: str
    died_at_ms: int
    again: bool


class TooManyError(ValueError):
    """There is no room for another; the message says of what."""


def webhook_key(name: str) -> str:
    """Return the key of a webhook's actor."""
    return f"webhook:{name}"


def message_id(position: Position) -> str:
    """Return the id of the message about a row: the same for ever, and without a full stop.

    A full stop separates what is signed.
    """
    return str(position).replace(".", "-")


def secret_text(secret: bytes) -> str:
    """Spell a secret as receivers expect it."""
    return PREFIX + b64encode(secret).decode()


def signatures(secrets: Sequence[bytes], *, id_: str, at_s: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature a secret.

    Args:
        secrets: Those that a receiver may have.
        id_: Of the message.
        at_s: The value of `webhook-timestamp`, seconds of Unix time.
        body: The message.
    """
    said = b"%b.%d.%b" % (id_.encode(), at_s, body)
    made = [hmac.new(secret, said, sha256).digest() for secret in secrets]
    return " ".join(f"v1,{b64encode(each).decode()}" for each in made)


def pause_ms(attempts: int, *, first_ms: int, chance: float) -> int:
    """Return how long to wait before the next attempt: twice as long each time, up to an hour.

    Args:
        attempts: How many were in vain.
        first_ms: The longest wait after the first.
        chance: From 0 to 1: of the wait, half is certain and half is chance, so that receivers
            which failed together are not asked together.
    """
    longest = min(first_ms << min(attempts - 1, 32), _PAUSE_MAX_MS)
    return longest // 2 + int(longest / 2 * chance)


def shortened(error: str) -> str:
    """Return a reason as it is kept: a line of bounded length that can be printed."""
    line = "".join(character if character.isprintable() else " " for character in error)
    return line if len(line) <= _ERROR_MAX else f"{line[: _ERROR_MAX - 1]}…"
