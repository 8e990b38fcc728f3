"""What can be changed behind the server's back, and what verification has to say of it."""

from collections.abc import Sequence

import msgspec

from tests.integration.verifying import Said


class Damage(msgspec.Struct, frozen=True):
    """Statements in which braces stand for an actor, and what they spoil.

    Attributes:
        faults: All that is wrong then, in any order; empty if it is much.
    """

    sql: str
    faults: Sequence[Said]


def tea(kind: str, table: str = "journal", seq: int = 0) -> Said:
    return Said(kind, "main/tea", table, seq)


JOURNAL = {
    "a byte of a body is another": Damage(
        "UPDATE journal SET body = replace(body::text, '9', '8')::json"
        " WHERE actor_id = {TEA} AND seq = 1",
        [tea("edited_row", seq=1)],
    ),
    "a body means the same and reads otherwise": Damage(
        "UPDATE journal SET body = (body::text || ' ')::json WHERE actor_id = {TEA} AND seq = 3",
        [tea("edited_row", seq=3)],
    ),
    "a principal is another": Damage(
        "UPDATE journal SET principal = 'mallory' WHERE actor_id = {TEA} AND seq = 3",
        [tea("edited_row", seq=3)],
    ),
    "a key is another": Damage(
        "UPDATE journal SET idempotency_key = 'other' WHERE actor_id = {TEA} AND seq = 3",
        [tea("edited_row", seq=3)],
    ),
    "a request's digest is gone": Damage(
        "UPDATE journal SET request_digest = NULL WHERE actor_id = {TEA} AND seq = 3",
        [tea("edited_row", seq=3)],
    ),
    "a time is another": Damage(
        "UPDATE journal SET at = at + interval '1 ms' WHERE actor_id = {TEA} AND seq = 9",
        [tea("edited_row", seq=9)],
    ),
    "a digest is another": Damage(
        "UPDATE journal SET digest = substr(digest, 2) || '\\x00'"
        " WHERE actor_id = {TEA} AND seq = 4",
        [tea("edited_row", seq=4), tea("edited_row", seq=5)],
    ),
    "a row in the middle is gone": Damage(
        "DELETE FROM journal WHERE actor_id = {TEA} AND seq = 4",
        [tea("missing_row", seq=4)],
    ),
    "the first rows are gone": Damage(
        "DELETE FROM journal WHERE actor_id = {TEA} AND seq < 4",
        [tea("missing_row", seq=1)],
    ),
    "the last row is gone": Damage(
        "DELETE FROM journal WHERE actor_id = {TEA} AND seq = 9",
        [tea("missing_end", seq=9)],
    ),
    "all rows are gone": Damage(
        "DELETE FROM journal WHERE actor_id = {TEA}",
        [tea("missing_end", seq=1)],
    ),
    "the last row of a pool without snapshots is gone": Damage(
        "DELETE FROM journal WHERE actor_id = {COFFEE} AND seq = 2",
        [Said("missing_end", "main/coffee", "journal", 2)],
    ),
    "two rows have changed places": Damage(
        "UPDATE journal SET seq = -seq WHERE actor_id = {TEA} AND seq IN (4, 5);"
        "UPDATE journal SET seq = 9 + seq WHERE actor_id = {TEA} AND seq < 0",
        [tea("edited_row", seq=4), tea("edited_row", seq=5), tea("edited_row", seq=6)],
    ),
    "a row stands twice": Damage(
        "INSERT INTO journal SELECT actor_id, 10, at, era, xid, version, kind, principal,"
        " idempotency_key, request_digest, digest, body"
        " FROM journal WHERE actor_id = {TEA} AND seq = 9",
        [tea("edited_row", seq=10)],
    ),
    "a row of another actor was moved here": Damage(
        "UPDATE journal SET actor_id = {TEA}, seq = 10 WHERE actor_id = {COFFEE} AND seq = 2",
        [tea("edited_row", seq=10), Said("missing_end", "main/coffee", "journal", 2)],
    ),
    "a row is of a kind that nobody knows": Damage(
        "UPDATE journal SET kind = 'nonsense' WHERE actor_id = {TEA} AND seq = 9",
        [tea("edited_row", seq=9)],
    ),
    "the last row of a product is gone": Damage(
        "DELETE FROM journal WHERE actor_id = {PRODUCT} AND seq = 2",
        [Said("missing_end", "product:coffee", "journal", 2)],
    ),
    "a row of a key was edited": Damage(
        'UPDATE journal SET body = \'{{"role":"operator"}}\' WHERE actor_id = {KEY} AND seq = 1',
        [Said("edited_row", "api_key:till", "journal", 1)],
    ),
}


TABLES = {
    "a product has another name": Damage(
        "UPDATE products SET name = 'Koffie' WHERE sku = 'coffee'",
        [Said("contents", "product:coffee", "products", 2)],
    ),
    "a product has no price": Damage(
        "UPDATE products SET price_amount = NULL, price_currency = NULL WHERE sku = 'coffee'",
        [Said("contents", "product:coffee", "products", 2)],
    ),
    "a key is valid again": Damage(
        "UPDATE api_keys SET revoked_at = NULL",
        [Said("contents", "api_key:till", "api_keys", 2)],
    ),
    "a key may do more": Damage(
        "UPDATE api_keys SET role = 'operator'",
        [Said("contents", "api_key:till", "api_keys", 2)],
    ),
    "a webhook goes elsewhere": Damage(
        "UPDATE webhooks SET url = 'https://mallory.example/' WHERE name = 'kept'",
        [Said("contents", "webhook:kept", "webhooks", 2)],
    ),
    "a webhook that was deleted is there again": Damage(
        "UPDATE webhooks SET url = 'https://a.example/', secret = '\\x00' WHERE name = 'gone'",
        [Said("contents", "webhook:gone", "webhooks", 2)],
    ),
    "a webhook is told of all kinds": Damage(
        "UPDATE webhooks SET kinds = NULL WHERE name = 'renewed'",
        [Said("contents", "webhook:renewed", "webhooks", 3)],
    ),
    "an actor's key is another": Damage(
        "UPDATE actors SET key = 'pool:main/cocoa' WHERE id = {TEA}",
        [],
    ),
    "rows belong to nobody": Damage(
        "INSERT INTO orders SELECT 77, seq, quantity, created_at, closed_at, status, customer,"
        " picks FROM orders WHERE actor_id = {COFFEE};"
        "INSERT INTO journal SELECT 78, 1, at, era, xid, version, kind, principal, idempotency_key,"
        " request_digest, digest, body FROM journal WHERE actor_id = {COFFEE} AND seq = 1",
        [
            Said("unknown_actor", "actor 77", "orders", 2),
            Said("unknown_actor", "actor 78", "journal", 1),
            Said("edited_row", "actor 78", "journal", 1),
        ],
    ),
    "a shard is gone": Damage(
        "DELETE FROM shards WHERE id = 7",
        [Said("installation", "", "shards", 0)],
    ),
    "numbers of actors start again": Damage(
        "ALTER SEQUENCE actor_numbers RESTART WITH 1;SELECT nextval('actor_numbers')",
        [Said("installation", "", "actor_numbers", 0)],
    ),
    "the projection is past the journal": Damage(
        "UPDATE projections SET xid = '9000000000000'",
        [Said("installation", "", "projections", 0)],
    ),
}


DERIVED = {
    "a snapshot's state is damaged": Damage(
        "UPDATE snapshots SET state = '\\x00' || state WHERE seq = 8",
        [tea("snapshot", "snapshots", 8)],
    ),
    "a snapshot is another state, with its digest": Damage(
        "UPDATE snapshots SET state = other.state, digest = other.digest FROM snapshots AS other"
        " WHERE snapshots.seq = 9 AND other.seq = 8",
        [tea("snapshot", "snapshots", 9)],
    ),
    "a balance's number is another": Damage(
        "UPDATE balances SET available = available + 1 WHERE actor_id = {TEA}",
        [tea("balance", "balances")],
    ),
    "a balance holds something": Damage(
        "UPDATE balances SET held = 1 WHERE actor_id = {COFFEE}",
        [Said("balance", "main/coffee", "balances", 0)],
    ),
    "a balance is older than it can be": Damage(
        "UPDATE balances SET version = 1 WHERE actor_id = {COFFEE}",
        [],
    ),
    "a balance is gone": Damage("DELETE FROM balances WHERE actor_id = {TEA}", []),
    "an order is gone": Damage(
        "DELETE FROM orders WHERE actor_id = {TEA} AND seq = 4",
        [tea("order", "orders", 4)],
    ),
    "there is an order more": Damage(
        "INSERT INTO orders SELECT actor_id, 2, quantity, created_at, closed_at, status, customer,"
        " picks FROM orders WHERE actor_id = {TEA} AND seq = 4",
        [tea("order", "orders", 2)],
    ),
    "there is an order of the future": Damage(
        "INSERT INTO orders SELECT actor_id, 99, quantity, created_at, closed_at, status, customer,"
        " picks FROM orders WHERE actor_id = {TEA} AND seq = 4",
        [tea("order", "orders", 99)],
    ),
    "an order's customer is another": Damage(
        "UPDATE orders SET customer = 'mallory' WHERE actor_id = {TEA} AND seq = 3",
        [tea("order", "orders", 3)],
    ),
    "an order was placed at another time": Damage(
        "UPDATE orders SET created_at = created_at - interval '1 ms' WHERE actor_id = {COFFEE}",
        [Said("order", "main/coffee", "orders", 2)],
    ),
    "an open order is of other units": Damage(
        "UPDATE orders SET picks = '[[1,1]]' WHERE actor_id = {TEA} AND seq = 4",
        [tea("order", "orders", 4)],
    ),
    "an order's picks are nonsense": Damage(
        "UPDATE orders SET picks = '7' WHERE actor_id = {TEA} AND seq = 3",
        [tea("order", "orders", 3)],
    ),
    "an open order is dispatched": Damage(
        "UPDATE orders SET status = 'dispatched', closed_at = created_at"
        " WHERE actor_id = {TEA} AND seq = 4",
        [tea("order", "orders", 4)],
    ),
    "a dispatched order is new": Damage(
        "UPDATE orders SET status = 'new', closed_at = NULL WHERE actor_id = {TEA} AND seq = 3",
        [tea("order", "orders", 3)],
    ),
    "a dispatched order is cancelled": Damage(
        "UPDATE orders SET status = 'cancelled' WHERE actor_id = {TEA} AND seq = 3",
        [tea("order", "orders", 3)],
    ),
    "an order ended at another time": Damage(
        "UPDATE orders SET closed_at = closed_at + interval '1 ms'"
        " WHERE actor_id = {TEA} AND seq = 5",
        [tea("order", "orders", 5)],
    ),
    "an open order has a time of its end": Damage(
        "UPDATE orders SET closed_at = created_at WHERE actor_id = {TEA} AND seq = 4",
        [tea("order", "orders", 4)],
    ),
    "a stock's number is another": Damage(
        "UPDATE stocks SET available = 1 WHERE actor_id = {TEA} AND seq = 8",
        [tea("stock", "stocks", 8)],
    ),
    "a stock's lot is another": Damage(
        "UPDATE stocks SET lot = 'L-3' WHERE actor_id = {TEA} AND seq = 2",
        [tea("stock", "stocks", 2)],
    ),
    "a used-up stock is there again": Damage(
        "UPDATE stocks SET on_hand = 5, available = 5 WHERE actor_id = {TEA} AND seq = 2",
        [tea("stock", "stocks", 2)],
    ),
    "a stock is gone": Damage(
        "DELETE FROM stocks WHERE actor_id = {COFFEE}",
        [
            Said("stock", "main/coffee", "stocks", 1),
            Said("stock", "main/coffee", "stocks", 1),
        ],
    ),
    "a pool is in quarantine": Damage(
        "INSERT INTO quarantined_projections (actor_id, era, xid, error)"
        " VALUES ({TEA}, 1, '3', 'it did not fit')",
        [tea("quarantine", "quarantined_projections")],
    ),
    "nobody is woken when a lot expires": Damage(
        "UPDATE actors SET wake_at = NULL WHERE id = {TEA}",
        [tea("wake_up", "actors")],
    ),
    "a pool is woken for nothing": Damage(
        "UPDATE actors SET wake_at = now() WHERE id = {COFFEE}",
        [Said("wake_up", "main/coffee", "actors", 0)],
    ),
    "a ticket option is called otherwise": Damage(
        "UPDATE ticket_options SET name = 'other' WHERE allocation = 9", []
    ),
    "a ticket option has more to sell": Damage(
        "UPDATE ticket_options SET allocation = 1 WHERE allocation = 0", []
    ),
    "a ticket option was opened at another time": Damage(
        "UPDATE ticket_options SET created_at = created_at + interval '1 ms' WHERE allocation = 0",
        [],
    ),
    "a ticket option is gone": Damage("DELETE FROM ticket_options WHERE allocation = 9", []),
    "a pool is a ticket option": Damage(
        "INSERT INTO ticket_options SELECT {TEA}, name, description, allocation, created_at"
        " FROM ticket_options WHERE allocation = 9",
        [tea("ticket_option", "ticket_options", 1)],
    ),
    "everything that is derived is gone": Damage(
        "DELETE FROM orders;DELETE FROM stocks;DELETE FROM balances;DELETE FROM snapshots;"
        "DELETE FROM ticket_options",
        [],
    ),
}
