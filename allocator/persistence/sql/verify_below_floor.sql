-- Read the orders at or below a floor that are open, or ended at some time at or after it.
-- $1 actor id  $2 seq of the floor  $3 time of the event there
SELECT actor_id, seq, quantity, created_at, closed_at, status, customer, picks, product,
       dispatched
FROM orders
WHERE actor_id = $1 AND seq <= $2 AND (closed_at IS NULL OR closed_at >= $3)
ORDER BY seq
