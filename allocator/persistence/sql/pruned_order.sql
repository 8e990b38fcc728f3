-- Read an order whose placing has been pruned: its row of the read model, which is kept for that.
-- $1 actor id  $2 seq
SELECT orders.product, orders.quantity, orders.created_at, orders.customer, orders.picks
FROM orders JOIN floors USING (actor_id)
WHERE actor_id = $1 AND orders.seq = $2 AND orders.seq <= floors.seq
