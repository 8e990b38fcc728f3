"""Who tells the stories of the corpus, and what several of them need."""

from typing import Final, Protocol

from allocator.domain.api_keys import Role
from allocator.domain.kinds import Command

HOUR_MS: Final = 3_600_000
END_OF_TIME_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""

EVERYTHING: Final = 1 << 31
"""A number that no ask of a process has: all of them reach whom they are for."""

TEXTS: Final = (
    "Žofie Ω 東京 \U0001f375 e\u0301",
    '"quoted" \\back\\ /slash/ \t tab \n line',
    "\u2028\u2029\u200f\ufeff\x7f\x01",
    " ",
    "",
    "x" * 300,
)


class Author(Protocol):
    """Has the code of today write what a story tells.

    Attributes:
        now_ms: The clock; stories move it.
    """

    now_ms: int

    async def warehouse(self, code: str, *, name: str, principal: str = "") -> None:
        """Create a warehouse, or change it."""

    async def location(
        self,
        code: str,
        *,
        name: str,
        warehouse: str = "main",
        single_product: bool = True,
        principal: str = "",
    ) -> None:
        """Create a location, or change what it is called."""

    async def product(
        self, sku: str, *, name: str, price: tuple[int, str] | None = None, principal: str = ""
    ) -> None:
        """Create a product, or change it; a price is minor units and a currency."""

    async def api_key(self, name: str, *, role: Role, principal: str = "") -> None:
        """Let a key in."""

    async def revoked(self, name: str, *, principal: str = "") -> None:
        """Shut a key out."""

    async def webhook(  # noqa: PLR0913 (what one consists of)
        self,
        name: str,
        *,
        url: str,
        warehouse: str | None = None,
        product: str | None = None,
        kinds: tuple[str, ...] | None = None,
        principal: str = "",
    ) -> None:
        """Set a webhook up, or change it."""

    async def rotated(self, name: str, *, principal: str = "") -> None:
        """Give a webhook a new secret."""

    async def unhooked(self, name: str, *, principal: str = "") -> None:
        """Delete a webhook."""

    async def pool(self, sku: str, *, warehouse: str = "main") -> int:
        """Return the actor of a pool."""

    async def last_pool(self, sku: str) -> int:
        """Return the actor of a pool that has the greatest id there can be."""

    async def feed(self, warehouse: str) -> int:
        """Return the actor that a warehouse's feed is."""

    async def ask(
        self, actor_id: int, command: Command, *, principal: str = "", key: str | None = None
    ) -> int:
        """Have a pool do something; return the seq of the event that came of it."""

    async def begin(
        self,
        command: Command,
        *,
        principal: str = "",
        key: str | None = None,
        heard: int = EVERYTHING,
        at_once: bool = False,
    ) -> int:
        """Have an actor come into being; return it.

        Args:
            command: What it begins with.
            principal: Who asks.
            key: Under which.
            heard: The last number of its asks that reach anybody. If it is a process, it has come
                as far as it can with that.
            at_once: Whether an order is decided at once, since all its pools are at hand.
        """

    async def lead(
        self,
        actor_id: int,
        command: Command,
        *,
        principal: str = "",
        key: str | None = None,
        heard: int = EVERYTHING,
    ) -> int:
        """Have a process do something, likewise; return the seq of the event that came of it."""

    async def wake(self, actor_id: int) -> None:
        """Have an actor do what has become due."""

    async def refused(self, actor_id: int, command: Command) -> None:
        """Ask for what an actor refuses, which leaves at most expired lots behind."""

    async def late(self, actor_id: int, command: Command) -> None:
        """Tell an actor what it makes nothing of."""
