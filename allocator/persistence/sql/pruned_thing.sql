-- Say what was made by an actor's row that has been pruned: an order, a stock, a move, a cart, an
-- attempt to pay for one, or nothing.
-- $1 actor id  $2 seq
SELECT 'order' AS thing FROM orders JOIN floors USING (actor_id)
WHERE actor_id = $1 AND orders.seq = $2 AND orders.seq <= floors.seq
UNION ALL
SELECT 'stock' AS thing FROM stocks JOIN floors USING (actor_id)
WHERE actor_id = $1 AND stocks.seq = $2 AND stocks.seq <= floors.seq
UNION ALL
SELECT 'move' AS thing FROM moves JOIN floors USING (actor_id)
WHERE actor_id = $1 AND $2::bigint = 1
UNION ALL
SELECT 'order of several lines' AS thing FROM process_orders JOIN floors USING (actor_id)
WHERE actor_id = $1 AND $2::bigint = process_orders.seq
UNION ALL
SELECT 'cart' AS thing FROM carts JOIN floors USING (actor_id)
WHERE actor_id = $1 AND $2::bigint = 1
UNION ALL
SELECT 'checkout' AS thing FROM checkouts JOIN floors USING (actor_id)
WHERE actor_id = $1 AND checkouts.attempt = $2
