"""How many carts a customer has open: what the read model knows, and what it cannot know yet."""

from collections import OrderedDict
from typing import Final

from allocator.http.ports import Carts

_CUSTOMERS_MAX: Final = 10_000


class OpenCarts:
    """Counts open carts, exactly as far as they were opened here or some time ago.

    Other workers' carts of the last moments are not counted: whoever asks several at once gets a
    few more than the limit, once.

    Args:
        carts: What the read model knows.
        limit: How many a customer may have.
    """

    def __init__(self, carts: Carts, *, limit: int) -> None:
        self.limit = limit
        self._carts = carts
        self._recent: OrderedDict[str, set[int]] = OrderedDict()
        self._coming: dict[str, list[object]] = {}

    async def is_full(self, customer: str, request: object) -> bool:
        """Say whether a customer may have no more; those about to be opened count.

        Args:
            customer: Whose cart it would be.
            request: What tells its repeats from others: they open one cart together.
        """
        asked = self._recent.get(customer, set())
        is_open, is_over = await self._carts.open_carts(customer, asked, limit=self.limit)
        recent = self._recent.get(customer, set())  # others may have opened the first meanwhile
        recent -= is_open | is_over
        coming = set(self._coming.get(customer, ()))
        return request not in coming and len(is_open) + len(recent) + len(coming) >= self.limit

    def begin(self, customer: str, request: object) -> None:
        """Count a cart that is about to be opened, until `end`."""
        self._coming.setdefault(customer, []).append(request)

    def end(self, customer: str, request: object) -> None:
        """Count it no more."""
        coming = self._coming[customer]
        coming.remove(request)
        if not coming:
            del self._coming[customer]

    def note(self, customer: str, actor_id: int) -> None:
        """Remember a cart that was opened, until the read model knows it."""
        self._recent.setdefault(customer, set()).add(actor_id)
        self._recent.move_to_end(customer)
        if len(self._recent) > _CUSTOMERS_MAX:
            self._recent.popitem(last=False)
