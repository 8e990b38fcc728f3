-- List orders by address.
-- $1 actor id and $2 seq after which to begin  $3 how many at most
-- $4 status  $5 warehouse  $6 product  $7 customer; each NULL for any
SELECT orders.actor_id, orders.seq, pools.warehouse,
       coalesce(orders.product, pools.product) AS product, orders.quantity, orders.status,
       orders.created_at, orders.customer, orders.picks
FROM orders JOIN pools USING (actor_id)
WHERE (orders.actor_id, orders.seq) > ($1, $2)
  AND ($4::text IS NULL OR orders.status = $4)
  AND ($5::text IS NULL OR pools.warehouse = $5)
  AND ($6::text IS NULL OR (pools.product = $6 OR pools.product IS NULL)
                           AND coalesce(orders.product, pools.product) = $6)
  AND ($7::text IS NULL OR orders.customer = $7)
ORDER BY orders.actor_id, orders.seq
LIMIT $3
