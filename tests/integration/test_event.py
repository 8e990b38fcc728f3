"""A small 12.12 event: everything is killed while people pay, and what was sold is proven."""

import os
import random
from pathlib import Path

from rich.console import Console

from bench.event import hold_event
from bench.event_course import Event
from bench.event_proof import CLAIMS

CLIENTS = int(os.environ.get("EVENT_CLIENTS", "80"))
SECONDS = float(os.environ.get("EVENT_SECONDS", "3"))


def test_a_small_event_ends_with_every_claim_proven(database_url: str, tmp_path: Path) -> None:
    """Q9, Q1 to Q7, O9, O10: by `python -m bench.event`, of which this is a small one."""
    seed = int(os.environ.get("EVENT_SEED") or random.randrange(1 << 32))
    event = Event(
        seed=seed,
        clients=CLIENTS,
        seconds=SECONDS,
        mean_ms=100,
        timeout_ms=2_000,
        cart_ttl_ms=3_000,
        kept=tmp_path / "kept",
    )
    tmp_path.chmod(0o755)

    seen = hold_event(
        event, directory=tmp_path, console=Console(soft_wrap=True), database=database_url
    )

    assert {claim.__name__: claim(seen) for _, claim in CLAIMS} == {
        claim.__name__: "" for _, claim in CLAIMS
    }, f"EVENT_SEED={seed}"
