"""The calls of a worker as its operator wants them."""

from collections.abc import Callable
from typing import Final

from allocator.config import Config
from allocator.payments.calls import Bounds, Calls
from allocator.payments.files import room_for
from allocator.payments.http_provider import HttpProvider

_OTHER_FILES: Final = 256
"""Of a worker, beside the connections of clients: the database's, other workers', libraries."""


def calls_of(config: Config, *, agent: str, clock: Callable[[], int]) -> Calls | None:
    """Return what sees charges through, or None where nobody can check out.

    Args:
        config: Says who the provider is, and how much a worker takes on.
        agent: Who we say that we are.
        clock: Milliseconds of Unix time.
    """
    if config.payment_url is None:
        return None
    bounds = Bounds(
        calls_max=room_for(config.payments_max, beside=config.connections_max + _OTHER_FILES),
        waiting_max=config.payments_max,
        timeout_ms=config.payment_timeout_ms,
    )
    return Calls(HttpProvider(config.payment_url, agent=agent), bounds=bounds, clock=clock)
