-- List orders by address, those of one line and those of several, whose `lines` are told.
-- $1 actor id and $2 seq after which to begin  $3 how many at most
-- $4 status  $5 warehouse  $6 product  $7 customer; each NULL for any
SELECT page.*, (
    SELECT json_agg(json_build_object(
               'pool', pool, 'warehouse', warehouse, 'product', product, 'quantity', quantity,
               'picks', picks, 'dispatched', dispatched) ORDER BY line)
    FROM process_order_lines WHERE page.has_lines AND actor_id = page.actor_id
) AS lines
FROM (
    (SELECT false AS has_lines, orders.actor_id, orders.seq, pools.warehouse,
            coalesce(orders.product, pools.product) AS product, orders.quantity,
            orders.dispatched, orders.status, orders.created_at, orders.customer, orders.picks
     FROM orders JOIN pools USING (actor_id)
     WHERE (orders.actor_id, orders.seq) > ($1, $2)
       AND ($4::text IS NULL OR orders.status = $4)
       AND ($5::text IS NULL OR pools.warehouse = $5)
       AND ($6::text IS NULL OR (pools.product = $6 OR pools.product IS NULL)
                                AND coalesce(orders.product, pools.product) = $6)
       AND ($7::text IS NULL OR orders.customer = $7)
     ORDER BY orders.actor_id, orders.seq
     LIMIT $3)
    UNION ALL
    (SELECT true, actor_id, seq, NULL, NULL, NULL, NULL, status, created_at, customer, NULL
     FROM process_orders
     WHERE (actor_id, seq) > ($1, $2)
       AND status NOT IN ('requested', 'declined')
       AND ($4::text IS NULL OR status = $4)
       AND ($5::text IS NULL AND $6::text IS NULL OR EXISTS (
                SELECT FROM process_order_lines AS lines
                WHERE lines.actor_id = process_orders.actor_id
                  AND ($5::text IS NULL OR lines.warehouse = $5)
                  AND ($6::text IS NULL OR lines.product = $6)))
       AND ($7::text IS NULL OR customer = $7)
     ORDER BY actor_id, seq
     LIMIT $3)
) AS page
ORDER BY actor_id, seq
LIMIT $3
