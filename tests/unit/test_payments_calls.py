"""Charges are seen through: asked for at most once, and what became of them is told."""

import asyncio
import resource
from collections import deque
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from allocator.config import Config
from allocator.domain.checkouts import Charge
from allocator.errors import UnavailableError
from allocator.payments import files
from allocator.payments.calls import Bounds, Calls
from allocator.payments.opening import calls_of
from allocator.payments.provider import Verdict
from tests.virtual_time import now_ms, settle, virtual_time

TIMEOUT_MS = 600_000
HOUR_S = 3_600
PAID = Verdict(outcome="paid", detail="answered 201", reference="r-1")
UNKNOWN = Verdict(outcome="unknown", detail="no answer")


class Provider:
    """Answers when it is told to, or when nobody would wait any longer."""

    def __init__(self, *, takes_s: float = 1e9) -> None:
        self.asked: list[int] = []
        self.takes_s = takes_s
        self.within_s: list[float] = []
        self.bug: Exception | None = None

    async def charge(self, charge: Charge, *, within_s: float) -> Verdict:
        self.asked.append(charge.attempt)
        self.within_s.append(within_s)
        if self.bug is not None:
            raise self.bug
        await asyncio.sleep(min(self.takes_s, within_s))
        return PAID if self.takes_s <= within_s else UNKNOWN


class Desk:
    """Calls, and what they told."""

    def __init__(
        self, *, takes_s: float = 1e9, calls_max: int = 10_000, waiting_max: int = 10_000
    ) -> None:
        bounds = Bounds(calls_max=calls_max, waiting_max=waiting_max, timeout_ms=TIMEOUT_MS)
        self.provider = Provider(takes_s=takes_s)
        self.calls = Calls(self.provider, bounds=bounds, clock=now_ms)
        self.told: dict[int, Verdict] = {}
        self.told_at_ms: dict[int, int] = {}
        self.failures: deque[Exception] = deque()
        self.reports = 0
        self.on_report: Callable[[], None] | None = None

    def charge(self, attempt: int, *, deadline_ms: int = 0) -> None:
        charge = Charge(
            attempt=attempt,
            amount=500,
            currency="EUR",
            client_id=7,
            deadline_ms=deadline_ms or now_ms() + TIMEOUT_MS,
        )
        self.calls.charge(charge, self.reporter(attempt))

    def reporter(self, attempt: int) -> Callable[[Verdict], "asyncio.Future[None]"]:
        def report(verdict: Verdict) -> "asyncio.Future[None]":
            self.reports += 1
            if self.on_report is not None:
                then, self.on_report = self.on_report, None
                then()
            heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if self.failures:
                heard.set_exception(self.failures.popleft())
                return heard
            assert attempt not in self.told, "twice"
            self.told[attempt], self.told_at_ms[attempt] = verdict, now_ms()
            heard.set_result(None)
            return heard

        return report


@virtual_time
async def test_what_became_of_a_charge_is_told_when_it_is_known() -> None:
    desk = Desk(takes_s=120)
    begun_ms = now_ms()
    desk.charge(1)
    await settle()
    assert (desk.told, desk.calls.statistics.under_way) == ({}, 1)

    await desk.calls.linger()

    assert desk.told == {1: PAID}
    assert desk.told_at_ms == {1: begun_ms + 120_000}
    assert desk.calls.statistics.paid == 1


@virtual_time
async def test_ten_thousand_wait_side_by_side() -> None:
    """O12: nobody waits for the provider but the calls themselves."""
    desk = Desk(takes_s=120)
    begun_ms = now_ms()
    for attempt in range(10_000):
        desk.charge(attempt)

    await desk.calls.linger()

    assert len(desk.told) == 10_000
    assert set(desk.told_at_ms.values()) == {begun_ms + 120_000}


@virtual_time
async def test_a_call_over_the_bound_begins_when_another_ends_in_order() -> None:
    desk = Desk(takes_s=60, calls_max=2)
    begun_ms = now_ms()
    for attempt in range(5):
        desk.charge(attempt)
    await settle()
    assert desk.provider.asked == [0, 1]
    assert (desk.calls.statistics.under_way, desk.calls.statistics.waiting) == (2, 3)

    await desk.calls.linger()

    assert desk.provider.asked == [0, 1, 2, 3, 4]
    assert [(at_ms - begun_ms) // 1000 for at_ms in desk.told_at_ms.values()] == [
        60,
        60,
        120,
        120,
        180,
    ]


@virtual_time
async def test_a_charge_that_waits_too_long_was_never_sent_and_has_failed() -> None:
    desk = Desk(calls_max=1)
    begun_ms = now_ms()
    desk.charge(1)
    desk.charge(2)

    await desk.calls.linger()

    assert desk.provider.asked == [1]
    assert desk.told[1] == UNKNOWN
    assert desk.told[2].outcome == "failed"
    assert desk.told[2].detail == "nothing was sent: 1 others were under way for too long"
    assert desk.told_at_ms[2] == begun_ms + TIMEOUT_MS // 2
    assert desk.calls.statistics.never_sent == 1


@virtual_time
async def test_a_call_ends_at_its_deadline_however_late_it_began() -> None:
    desk = Desk(takes_s=250, calls_max=1)
    desk.charge(1)
    desk.charge(2)

    await desk.calls.linger()

    assert desk.provider.within_s == [600, 350]


@virtual_time
async def test_a_charge_that_comes_too_late_is_not_sent() -> None:
    desk = Desk(takes_s=1, calls_max=1)
    desk.charge(1, deadline_ms=now_ms() + TIMEOUT_MS // 2)
    desk.charge(2, deadline_ms=now_ms() - 1)
    desk.charge(3)  # there is room for it still

    await desk.calls.linger()

    assert desk.provider.asked == [3]
    assert {desk.told[1].outcome, desk.told[2].outcome} == {"failed"}
    assert desk.told[1].detail == "nothing was sent: it was too late"


@virtual_time
async def test_more_than_may_wait_fail_at_once() -> None:
    desk = Desk(takes_s=60, calls_max=1, waiting_max=1)
    begun_ms = now_ms()
    desk.charge(1)
    had_room = desk.calls.has_room
    desk.charge(2)
    has_room = desk.calls.has_room
    desk.charge(3)

    await desk.calls.linger()

    assert (had_room, has_room) == (True, False)
    assert desk.provider.asked == [1, 2]
    assert desk.told[3].outcome == "failed"
    assert desk.told_at_ms[3] == begun_ms
    assert desk.calls.has_room


@virtual_time
async def test_a_verdict_is_told_until_it_is_durable_and_never_asked_for_again() -> None:
    desk = Desk(takes_s=1)
    desk.failures.extend([UnavailableError(reason="moving"), RuntimeError("a bug")] * 20)
    desk.charge(1)

    with capture_logs() as logs:
        await asyncio.sleep(HOUR_S)

    assert desk.told == {1: PAID}
    assert desk.provider.asked == [1]
    assert desk.reports == 41
    assert 1 <= len([line for line in logs if line["event"] == "payments.report_waits"]) <= 5


@virtual_time
async def test_a_slot_is_free_while_a_verdict_waits_to_be_durable() -> None:
    desk = Desk(takes_s=1, calls_max=1)
    desk.failures.extend(UnavailableError(reason="moving") for _ in range(10))
    desk.charge(1)
    desk.charge(2)

    await asyncio.sleep(HOUR_S)

    assert desk.provider.asked == [1, 2]
    assert desk.told_at_ms[2] < desk.told_at_ms[1]


@virtual_time
async def test_whoever_lingers_waits_for_those_that_wait_and_for_those_that_come_meanwhile() -> (
    None
):
    desk = Desk(takes_s=60, calls_max=1)
    desk.charge(1)
    desk.charge(2)
    lingering = asyncio.create_task(desk.calls.linger())
    await asyncio.sleep(90)
    desk.charge(3)
    await lingering

    assert list(desk.told) == [1, 2, 3]


@virtual_time
async def test_a_call_that_begins_when_the_last_verdict_is_told_is_not_cut_short() -> None:
    desk = Desk(takes_s=60)
    desk.on_report = lambda: desk.charge(2)
    desk.charge(1)

    await desk.calls.linger()

    assert desk.told == {1: PAID, 2: PAID}


@virtual_time
async def test_whoever_lingers_gives_up_on_what_cannot_be_told() -> None:
    desk = Desk(takes_s=1)
    desk.failures.extend(UnavailableError(reason="no database") for _ in range(1_000))
    desk.charge(1)
    begun_ms = now_ms()

    with capture_logs() as logs:
        await desk.calls.linger()

    assert desk.told == {}
    assert now_ms() - begun_ms == 31_000
    [given_up] = [line for line in logs if line["event"] == "payments.unreported"]
    assert (given_up["outcome"], given_up["reference"]) == ("paid", "r-1")


@virtual_time
async def test_a_hard_stop_tells_nothing_and_lets_go_of_whoever_lingers() -> None:
    desk = Desk(calls_max=1)
    desk.charge(1)
    desk.charge(2)
    lingering = asyncio.create_task(desk.calls.linger())
    await settle()
    desk.charge(3)  # one that has not begun at all

    await desk.calls.stop()

    await lingering
    assert desk.reports == 0


@virtual_time
async def test_nothing_to_wait_for_is_no_waiting() -> None:
    desk = Desk()

    await desk.calls.linger()
    await desk.calls.stop()


@virtual_time
async def test_a_provider_that_raises_is_a_bug_and_leaves_the_charge_unknown() -> None:
    desk = Desk()

    desk.provider.bug = RuntimeError("of a test")
    desk.charge(1)
    with capture_logs() as logs:
        await desk.calls.linger()

    assert desk.told[1].outcome == "unknown"
    assert [line["event"] for line in logs] == ["payments.provider_failed"]


@pytest.mark.parametrize(
    ("hard", "calls", "room"),
    [(20_000, 10_000, 10_000), (12_000, 10_000, 7_000), (1_024, 10_000, 256), (4, 10, 1)],
)
def test_there_is_room_for_as_many_calls_as_the_system_allows_files(
    monkeypatch: pytest.MonkeyPatch, hard: int, calls: int, room: int
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (min(1_024, hard), hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))

    with capture_logs() as logs:
        assert files.room_for(calls, beside=5_000) == room

    assert [line["calls"] for line in logs] == ([] if room == calls else [room])
    assert limits == ([] if hard <= 1_024 else [(min(15_000, hard), hard)])


@virtual_time
async def test_a_worker_without_a_provider_makes_no_calls() -> None:
    assert calls_of(Config(), agent="test", clock=now_ms) is None


@virtual_time
async def test_a_worker_takes_on_as_much_as_its_operator_says() -> None:
    config = Config(payment_url="https://provider.example/", payments_max=1, connections_max=1)
    calls = calls_of(config, agent="test", clock=now_ms)
    assert calls is not None

    async def told(_: Verdict) -> None: ...

    charge = Charge(attempt=1, amount=1, currency="EUR", client_id=1, deadline_ms=now_ms())
    calls.charge(charge, told)
    had_room = calls.has_room
    calls.charge(charge, told)

    assert (had_room, calls.has_room) == (True, False)
    await calls.stop()
