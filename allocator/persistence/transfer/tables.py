"""Which tables travel beside the journal, and why the others do not.

A table that is new is one line here: either it travels, and `sql/carry_NAME.sql` says what it
held at a cut, or the journal can make it again, or it means nothing in another database.
"""

from typing import Final

CARRIED: Final = (
    "actors",
    "warehouses",
    "products",
    "pools",
    "api_keys",
    "webhooks",
    "floors",
    "cuts",
    "orders",
    "stocks",
    "repicks",
)
"""In an order in which each finds the rows that it refers to."""

PARTLY: Final = frozenset({"orders", "stocks", "repicks"})
"""Of these only what nothing can make again: rows of which the journal has been pruned."""

DERIVED: Final = frozenset(
    {
        "snapshots",
        "projections",
        "quarantined_projections",
        "balances",
        "ticket_options",
        "moves",
        "process_orders",
        "process_order_lines",
        "carts",
        "checkouts",
    }
)
"""Made again from the journal."""

LOCAL: Final = frozenset(
    {
        "migrations",
        "workers",
        "heartbeats",
        "shards",
        "imports",
        "webhook_deliveries",
        "webhook_dead_letters",
        "wms_feeds",
        "wms_pools",
        "wms_pushes",
        "wms_lots",
        "wms_events",
        "wms_parts",
        "wms_dry_runs",
    }
)
"""Of one database, and of those who serve from it."""

APART: Final = frozenset({"journal", "installation"})
"""The journal has lines of its own; what is known of the installation is in the header."""
