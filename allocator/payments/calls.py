"""The calls to the provider of one worker: many wait for minutes, and hold nothing but memory.

A call is begun once, by the life of the checkout that decided it, and is never begun again. Whoever
asked for it does not wait: he is told what became of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import structlog
from msgspec import Struct

from allocator.domain.checkouts import Charge
from allocator.errors import AllocatorError
from allocator.payments.provider import PaymentProvider, Verdict

log = structlog.get_logger()

Report: TypeAlias = Callable[[Verdict], Awaitable[None]]
"""Returns when the verdict is durable; raises if it is not, and is then called again."""

_PAUSE_S: Final = 0.05
_PAUSE_MAX_S: Final = 5.0
_COMPLAIN_EVERY_S: Final = 60.0
_LAST_REPORTS_S: Final = 30.0
"""How long the last verdicts may take to become durable, once every call has ended."""


class Bounds(Struct, frozen=True, kw_only=True):
    """How much a worker takes on.

    Attributes:
        calls_max: Calls under way at once.
        waiting_max: Charges that wait until a call may begin; one more fails at once.
        timeout_ms: How long a call may take.
    """

    calls_max: int
    waiting_max: int
    timeout_ms: int


class CallStatistics(Struct):
    """How things stand, and counters that only grow.

    Attributes:
        waiting: Charges for which no call has begun.
        under_way: Calls that have begun and not ended.
        reporting: Verdicts that are not durable yet.
        paid: Calls that ended so; `failed` and `unknown` likewise.
        never_sent: Of those that failed, those for which no call was begun.
    """

    waiting: int = 0
    under_way: int = 0
    reporting: int = 0
    paid: int = 0
    failed: int = 0
    unknown: int = 0
    never_sent: int = 0


class Calls:
    """Sees charges through: each is asked for at most once, and its verdict reported.

    Args:
        provider: Who is asked.
        bounds: How much is taken on.
        clock: Milliseconds of Unix time.

    Attributes:
        statistics: How things stand.
    """

    def __init__(
        self, provider: PaymentProvider, *, bounds: Bounds, clock: Callable[[], int]
    ) -> None:
        self.statistics = CallStatistics()
        self._provider = provider
        self._bounds = bounds
        self._clock = clock
        self._turns = asyncio.Semaphore(bounds.calls_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()  # whether none waits or is under way
        self._ended.set()
        self._quiet_until_s = 0.0

    @property
    def has_room(self) -> bool:
        """Whether one more charge would be seen through; ask before a checkout is begun."""
        known = self.statistics.waiting + self.statistics.under_way
        return known < self._bounds.calls_max + self._bounds.waiting_max

    @property
    def busy(self) -> bool:
        """Whether anything waits, is under way, or is to be reported."""
        return bool(self._tasks)

    def charge(self, charge: Charge, report: Report) -> None:
        """Have a charge seen through, and return at once.

        Args:
            charge: Its event is durable, and this is the one time that it is asked for.
            report: Called until it returns. The checkout may live elsewhere by then.
        """
        if self.has_room:
            self.statistics.waiting += 1
            self._ended.clear()
            work = self._see_through(charge, report)
        else:
            work = self._tell(charge, self._never("too many others wait already"), report)
        task = asyncio.create_task(work, name="payment")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def linger(self) -> None:
        """Return when all calls have ended and their verdicts are durable.

        Calls may take as long as they always may; what cannot be reported for a while after the
        last of them has ended is given up, and said in the log.
        """
        while self._tasks:
            await self._ended.wait()
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=_LAST_REPORTS_S)
                if self._ended.is_set():
                    await _cancel(late)

    async def stop(self) -> None:
        """End at once: nothing is reported any more, nor is it known what became of the calls."""
        if self._tasks:
            log.warning("payments.cut_short", calls=len(self._tasks))
        await _cancel(self._tasks.copy())
        self._ended.set()

    async def _see_through(self, charge: Charge, report: Report) -> None:
        try:
            verdict = await self._verdict_on(charge)
        finally:
            if not (self.statistics.waiting or self.statistics.under_way):
                self._ended.set()
        await self._tell(charge, verdict, report)

    async def _verdict_on(self, charge: Charge) -> Verdict:
        try:
            refusal = await self._turn(charge)
        finally:
            self.statistics.waiting -= 1
        if refusal is not None:
            return self._never(refusal)
        self.statistics.under_way += 1
        try:
            within_ms = min(charge.deadline_ms - self._clock(), self._bounds.timeout_ms)
            return await self._provider.charge(charge, within_s=within_ms / 1000)
        except Exception:
            log.exception("payments.provider_failed")
            return Verdict(outcome="unknown", detail="a bug of ours")
        finally:
            self.statistics.under_way -= 1
            self._turns.release()

    async def _turn(self, charge: Charge) -> str | None:
        """Return None when a call may begin, or why none will.

        It waits for half of its time at most. With less than the other half left, the provider
        might well be asked and then not be heard: the one thing that must not happen needlessly.
        """
        try:
            async with asyncio.timeout(self._patience_s(charge)):
                await self._turns.acquire()
        except TimeoutError:
            return f"{self._bounds.calls_max} others were under way for too long"
        if self._patience_s(charge) > 0:
            return None
        self._turns.release()
        return "it was too late"

    def _never(self, why: str) -> Verdict:
        self.statistics.never_sent += 1
        return Verdict(outcome="failed", detail=f"nothing was sent: {why}")

    def _patience_s(self, charge: Charge) -> float:
        return (charge.deadline_ms - self._clock() - self._bounds.timeout_ms // 2) / 1000

    async def _tell(self, charge: Charge, verdict: Verdict, report: Report) -> None:
        self._count(verdict)
        self.statistics.reporting += 1
        try:
            await self._report(charge, verdict, report)
        except asyncio.CancelledError:
            _say_unreported(charge, verdict)
            raise
        finally:
            self.statistics.reporting -= 1

    async def _report(self, charge: Charge, verdict: Verdict, report: Report) -> None:
        """Report until it is durable. Charges have a bound, so those who try have one, too."""
        pause_s = _PAUSE_S
        while True:
            try:
                await report(verdict)
            except Exception as error:  # noqa: BLE001 (not even a bug of ours may lose a verdict)
                self._complain(charge, verdict, error)
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    def _complain(self, charge: Charge, verdict: Verdict, error: Exception) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._quiet_until_s:
            return
        self._quiet_until_s = now_s + _COMPLAIN_EVERY_S
        log.warning(
            "payments.report_waits",
            client_id=charge.client_id,
            outcome=verdict.outcome,
            error=str(error),
            waiting=self.statistics.reporting,
            exc_info=None if isinstance(error, AllocatorError) else error,
        )

    def _count(self, verdict: Verdict) -> None:
        match verdict.outcome:
            case "paid":
                self.statistics.paid += 1
            case "failed":
                self.statistics.failed += 1
            case "unknown":
                self.statistics.unknown += 1


def _say_unreported(charge: Charge, verdict: Verdict) -> None:
    log.error(
        "payments.unreported",
        client_id=charge.client_id,
        attempt=charge.attempt,
        amount=charge.amount,
        currency=charge.currency,
        outcome=verdict.outcome,
        reference=verdict.reference,
    )


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
