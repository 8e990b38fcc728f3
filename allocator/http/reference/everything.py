"""All operations, in the order in which they are shown."""

from typing import Final

from allocator.http.reference.adjustments import ADJUSTMENT_OPERATIONS
from allocator.http.reference.carts import CART_OPERATIONS
from allocator.http.reference.checkouts import CHECKOUT_OPERATIONS
from allocator.http.reference.events import EVENT_OPERATIONS
from allocator.http.reference.feeds import FEED_OPERATIONS
from allocator.http.reference.locations import LOCATION_OPERATIONS
from allocator.http.reference.moves import MOVE_OPERATIONS
from allocator.http.reference.names import NAME_OPERATIONS
from allocator.http.reference.orders import ORDER_OPERATIONS
from allocator.http.reference.server import SERVER_OPERATIONS
from allocator.http.reference.stocks import JOURNAL_OPERATIONS, STOCK_OPERATIONS
from allocator.http.reference.tickets import TICKET_OPERATIONS
from allocator.http.reference.told import TOLD_OPERATIONS
from allocator.http.reference.webhooks import WEBHOOK_OPERATIONS

OPERATIONS: Final = (
    *ORDER_OPERATIONS,
    *STOCK_OPERATIONS,
    *ADJUSTMENT_OPERATIONS,
    *LOCATION_OPERATIONS,
    *MOVE_OPERATIONS,
    *TICKET_OPERATIONS,
    *CART_OPERATIONS,
    *CHECKOUT_OPERATIONS,
    *NAME_OPERATIONS,
    *JOURNAL_OPERATIONS,
    *EVENT_OPERATIONS,
    *WEBHOOK_OPERATIONS,
    *FEED_OPERATIONS,
    *TOLD_OPERATIONS,
    *SERVER_OPERATIONS,
)
