-- Read what an order of a pool gave back to lots and got instead, in order: from the read model, and
-- from the rows above the version that it has seen.
-- $1 actor id  $2 seq of the order
SELECT seq, returned, added FROM repicks WHERE actor_id = $1 AND order_seq = $2
UNION ALL
SELECT seq, body -> 'returned', body -> 'added' FROM journal
WHERE actor_id = $1
  AND seq > greatest($2, (SELECT version FROM balances WHERE actor_id = $1))
  AND kind = 'order_repicked'
  AND (body ->> 'order')::bigint = $2
ORDER BY seq
