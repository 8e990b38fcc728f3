"""How long and how hard the properties are searched."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "allocator",
    deadline=None,  # the machine is shared, and a slow example proves nothing
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("allocator")


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Thousands of repairs would each say so."""
    with structlog.testing.capture_logs():
        yield
