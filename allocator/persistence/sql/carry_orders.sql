-- The orders that were placed before the history of their pools begins, as they are now: what floors
-- say of them is made good when they have arrived.
SELECT orders.actor_id, orders.seq, orders.quantity, orders.created_at, orders.closed_at,
       orders.status, orders.customer, orders.picks, orders.product, orders.dispatched
FROM floors JOIN orders ON orders.actor_id = floors.actor_id AND orders.seq <= floors.seq
