"""How a simulated warehouse system behaves, and its dice: all of it follows from one seed."""

from random import Random

from msgspec import Struct


class Nature(Struct, frozen=True, kw_only=True):
    """How it behaves. Rates are parts of all: 0.05 for one in twenty.

    Attributes:
        batch_s: How often it applies what it was told.
        rate_per_s: How often it may be asked in the long run.
        burst: How often at once.
        stale: Whether pages show what was so at the last batch run, not what is so now.
        swap_rate: How often a picker takes another batch than the one that was named.
        latency_s: How long an answer takes on average; times are exponential.
        lost_rate: How many pushes are taken without an answer.
        outage_every_s: How long it works on average between outages; 0 for always.
        outage_s: How long an outage takes on average.
        duplicate_rate: How many webhooks come twice.
        disorder_rate: How many come after later ones.
        webhook_url: Who is told what happens; None for nobody.
        webhook_key: The API key that he wants.
        seed: Its dice.
    """

    batch_s: float = 900.0
    rate_per_s: float = 10.0
    burst: int = 10
    stale: bool = False
    swap_rate: float = 0.0
    latency_s: float = 0.0
    lost_rate: float = 0.0
    outage_every_s: float = 0.0
    outage_s: float = 30.0
    duplicate_rate: float = 0.0
    disorder_rate: float = 0.0
    webhook_url: str | None = None
    webhook_key: str | None = None
    seed: int = 0


class Dice:
    """Dice for each purpose, so that how often some are rolled does not change the others.

    Args:
        seed: The same seed rolls the same.
    """

    def __init__(self, seed: int) -> None:
        self.picks = Random(f"{seed} picks")  # noqa: S311 (they have to fall the same way again)
        self.answers = Random(f"{seed} answers")  # noqa: S311
        self.outages = Random(f"{seed} outages")  # noqa: S311
        self.webhooks = Random(f"{seed} webhooks")  # noqa: S311
