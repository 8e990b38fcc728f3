-- List the purchases of a ticket option, oldest first.
-- $1 actor id  $2 seq after which to begin  $3 how many at most
SELECT seq, customer, quantity, created_at
FROM orders
WHERE actor_id = $1 AND seq > $2
ORDER BY seq
LIMIT $3
