"""An event loop whose clock jumps: hours pass in milliseconds, and always in the same order.

Nothing is waited for. When no callback is ready, the clock is put to the next timer, so a test of
a heartbeat or a back-off is as quick and as repeatable as any other. When there is no timer
either, nothing can ever happen again: whoever still waits waits for ever, and the test fails.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

START_MS = 1_700_000_000_000
"""Unix time at which every scenario begins, milliseconds."""

_SCENARIO_MAX_S = 4 * 3600.0


class NothingLeftToHappenError(AssertionError):
    """The test waits for something that nothing under way can bring about."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(  # type: ignore[explicit-any]  # the library's keys carry Any
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise NothingLeftToHappenError
            self.now_s += max(timeout, 0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs callbacks in order and skips the time between them."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def now_ms() -> int:
    """Return Unix time as the running scenario sees it, milliseconds."""
    return START_MS + round(asyncio.get_running_loop().time() * 1000)


def run(scenario: Coroutine[object, object, T]) -> T:
    """Run a scenario to its end on a loop of its own."""

    async def bounded() -> T:
        async with asyncio.timeout(_SCENARIO_MAX_S):
            return await scenario

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(bounded())


def virtual_time(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Make a test of a coroutine; it runs in virtual time."""

    @wraps(test)
    def run_test(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return run_test


async def settle() -> None:
    """Let everything happen that needs no time to pass."""
    for _ in range(50):
        await asyncio.sleep(0)
