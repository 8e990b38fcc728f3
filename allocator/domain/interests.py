"""Where something happens, and what of it somebody wants to be told."""

from typing import Final

import msgspec


class Site(msgspec.Struct, frozen=True, gc=False):
    """Where something happened: a product at a warehouse, one of the two alone, or neither.

    Neither is where tickets, moves, orders of several lines and carts are. Of a location that holds
    one product at a time, and of a move, it is the row that says which product; see
    `occurrences.site_of`.
    """

    warehouse: str | None
    product: str | None

    @classmethod
    def of(cls, key: str) -> "Site | None":
        """Read the key of an actor; None if what happens to it is not told."""
        kind, _, name = key.partition(":")
        match kind:
            case "pool":
                warehouse, slash, product = name.partition("/")
                return cls(warehouse, product or None) if slash else NOWHERE
            case "move" | "order" | "cart":
                return NOWHERE
            case "warehouse":
                return cls(name, None)
            case "product":
                return cls(None, name)
            case _:
                return None


NOWHERE: Final = Site(None, None)
"""The site of what came into being with its first event, such as a ticket option or a move."""


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to be told; None means any.

    A product alone includes its own changes, as of its name, and so does a warehouse.
    """

    warehouse: str | None = None
    product: str | None = None
    kinds: tuple[str, ...] | None = None

    def covers(self, site: Site, kind: str) -> bool:
        """Whether what happens there is to be told."""
        return (
            (self.product is None or self.product == site.product)
            and (self.warehouse is None or self.warehouse == site.warehouse)
            and (self.kinds is None or kind in self.kinds)
        )
