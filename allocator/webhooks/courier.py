"""The delivery of one webhook: in order, one message at a time, each until it is taken or dead."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

import msgspec
import structlog

from allocator.actors.statistics import DeliveryStatistics
from allocator.domain.ids import IdSeal
from allocator.domain.occurrences import Occurrence
from allocator.domain.webhooks import DEAD_LETTERS_MAX, DeadLetter, message_id, pause_ms
from allocator.errors import JournalError
from allocator.http.listening import Feed, Listener
from allocator.http.shaping import happening_of
from allocator.http.webhook_shapes import WebhookMessage
from allocator.persistence.deliveries import Deliveries, Delivery, Failure, SupersededError
from allocator.webhooks.sending import Message, Refused, Sender

log = structlog.get_logger()

_SAVE_AFTER_S: Final = 0.1
"""So much is delivered again after a crash: a commit for each message would cost more than it."""
_SAVE_IDLY_AFTER_S: Final = 10.0
"""For one whom nothing interests: he then has that much to look at again."""
_LOOK_EVERY_S: Final = 1.0

_encode: Final = msgspec.json.Encoder().encode


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often a message is tried.

    Attributes:
        attempts: After so many in vain it is dead.
        first_pause_ms: After the first; each pause is twice as long, up to an hour.
    """

    attempts: int
    first_pause_ms: int


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What all couriers of this process share."""

    feed: Feed
    deliveries: Deliveries
    sender: Sender
    ids: IdSeal
    patience: Patience
    statistics: DeliveryStatistics
    clock: Callable[[], int]
    chance: Random


class Courier:
    """Delivers for one life of one webhook.

    Attributes:
        life: Of the webhook.
    """

    def __init__(self, delivery: Delivery, desk: Desk) -> None:
        self.life = delivery.life
        self._delivery = delivery
        self._desk = desk
        self._dealt = delivery.position  # everything up to here is taken, or dead
        self._saved = delivery.position
        self._saved_s = asyncio.get_running_loop().time()
        self._taken = 0
        self._taken_at_ms: int | None = None
        self._attempts = delivery.attempts
        self._retry_at_ms = delivery.retry_at_ms
        self._letters = asyncio.Event()
        self.heed(delivery)

    def heed(self, delivery: Delivery) -> None:
        """Take notice of how things stand: secrets and dead letters are others' to change."""
        self._secrets = delivery.secrets
        self._dead_letters = delivery.dead_letters
        if delivery.again:
            self._letters.set()

    async def run(self) -> None:
        """Deliver until the webhook is changed, disabled or deleted; or until cancelled.

        Raises:
            JournalError: The database does not answer: nobody may deliver any more.
            UnknownPositionError: The journal is not the one in which the delivery began.
        """
        delivery = self._delivery
        try:
            async with self._desk.feed.listen(delivery.interest, after=delivery.position) as each:
                while not each.ended:
                    await self._serve(each)
                await self._save(after_s=0)
        except SupersededError:
            log.info("webhooks.superseded", webhook=delivery.name)
        except asyncio.CancelledError:
            with suppress(SupersededError, JournalError):
                await self._save(after_s=0)  # what was taken need not be sent again
            raise
        finally:
            self._desk.statistics.waiting_since_ms.pop(delivery.name, None)

    async def _serve(self, listener: Listener) -> None:
        await self._deliver_letters()
        found = await listener.more(within_s=_SAVE_AFTER_S if self._taken else _LOOK_EVERY_S)
        if found:  # the webhook may have been deleted before this happened
            await self._desk.deliveries.insist(self._delivery)
        for occurrence in found:
            await self._deliver(occurrence)
        self._dealt = listener.reached
        self._desk.statistics.waiting_since_ms[self._delivery.name] = 0
        await self._save()

    async def _deliver(self, occurrence: Occurrence) -> None:
        """Return when a message is taken, or dead."""
        self._desk.statistics.waiting_since_ms[self._delivery.name] = occurrence.record.at_ms
        message = message_of(occurrence, self._desk.ids)
        while True:
            await self._wait()
            refused = await self._send(message)
            if refused is None:
                self._attempts, self._retry_at_ms = 0, None
                self._dealt = occurrence.position
                self._taken += 1
                self._taken_at_ms = self._desk.clock()
                await self._save()
                return
            if await self._note(refused, occurrence, message):
                return

    async def _send(self, message: Message) -> Refused | None:
        result = await self._desk.sender.send(
            message, url=self._delivery.url, secrets=self._secrets
        )
        if isinstance(result, Refused):
            self._desk.statistics.failed += 1
            return result
        self._desk.statistics.delivered += 1
        return None

    async def _wait(self) -> None:
        """Wait until the message may be sent; meanwhile serve those who want others sent again."""
        while self._retry_at_ms is not None:
            left_s = (self._retry_at_ms - self._desk.clock()) / 1000
            if left_s <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._letters.wait()
            await self._deliver_letters()

    async def _note(self, refused: Refused, occurrence: Occurrence, message: Message) -> bool:
        """Store that an attempt was in vain; return whether the message is dead."""
        await self._save(after_s=0)
        self._attempts += 1
        now_ms = self._desk.clock()
        failure = Failure(attempts=self._attempts, error=refused.why, at_ms=now_ms)
        if refused.is_gone:
            await self._disable(failure, why="the receiver is gone")
        if self._attempts < self._desk.patience.attempts:
            pause = pause_ms(
                self._attempts,
                first_ms=self._desk.patience.first_pause_ms,
                chance=self._desk.chance.random(),
            )
            self._retry_at_ms = now_ms + max(pause, refused.retry_after_ms)
            await self._desk.deliveries.fail(
                self._delivery, self._dealt, failure, retry_at_ms=self._retry_at_ms
            )
            return False
        if self._dead_letters >= DEAD_LETTERS_MAX:
            await self._disable(failure, why=f"there are {self._dead_letters} dead letters")
        await self._bury(failure, occurrence, message)
        return True

    async def _bury(self, failure: Failure, occurrence: Occurrence, message: Message) -> None:
        self._dead_letters += 1
        self._desk.statistics.dead += 1
        log.warning(
            "webhooks.dead_letter",
            webhook=self._delivery.name,
            id=message.id,
            attempts=failure.attempts,
            error=failure.error,
        )
        await self._desk.deliveries.bury(
            self._delivery,
            occurrence.position,
            failure,
            kind=occurrence.record.kind,
            body=message.body.decode(),
        )
        self._attempts, self._retry_at_ms = 0, None
        self._dealt = self._saved = occurrence.position

    async def _disable(self, failure: Failure, *, why: str) -> None:
        """Store that nothing is delivered any more, until somebody sets it up again.

        Raises:
            SupersededError: Always: this life is over.
        """
        log.warning("webhooks.disabled", webhook=self._delivery.name, why=why, error=failure.error)
        told = msgspec.structs.replace(failure, error=f"disabled, {why}: {failure.error}")
        await self._desk.deliveries.fail(self._delivery, self._dealt, told, retry_at_ms=None)
        raise SupersededError(name=self._delivery.name)

    async def _save(self, *, after_s: float | None = None) -> None:
        """Store how far it has come, unless that was done less than `after_s` ago."""
        if after_s is None:
            after_s = _SAVE_AFTER_S if self._taken else _SAVE_IDLY_AFTER_S
        now_s = asyncio.get_running_loop().time()
        if self._dealt == self._saved or now_s < self._saved_s + after_s:
            return
        await self._desk.deliveries.advance(
            self._delivery, self._dealt, delivered=self._taken, at_ms=self._taken_at_ms
        )
        self._saved, self._saved_s, self._taken = self._dealt, now_s, 0

    async def _deliver_letters(self) -> None:
        if not self._letters.is_set():
            return
        self._letters.clear()
        for letter in await self._desk.deliveries.letters(self._delivery.name):
            await self._deliver_letter(letter)

    async def _deliver_letter(self, letter: DeadLetter) -> None:
        name, deliveries = self._delivery.name, self._desk.deliveries
        refused = await self._send(
            Message(id=message_id(letter.position), body=letter.body.encode())
        )
        if refused is not None:
            await deliveries.letter_failed(name, letter, error=refused.why)
            return
        await deliveries.letter_taken(name, letter, at_ms=self._desk.clock())


def message_of(occurrence: Occurrence, ids: IdSeal) -> Message:
    """Return what is sent about a row: the same whenever it is."""
    data = happening_of(occurrence, ids)
    said = WebhookMessage(type=data.kind, timestamp=data.at, data=data)
    return Message(id=message_id(occurrence.position), body=_encode(said))
