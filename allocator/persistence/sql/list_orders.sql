-- List orders by address, those of one line and those of several, whose `lines` are told; with what
-- they gave back and got since, and the stocks of their pools that are recalled, if they are open.
-- $1 actor id and $2 seq after which to begin  $3 how many at most
-- $4 status  $5 warehouse  $6 product  $7 customer; each NULL for any
SELECT page.*, (
    SELECT json_agg(json_build_object(
               'pool', pool, 'warehouse', warehouse, 'product', product, 'quantity', quantity,
               'picks', picks, 'dispatched', dispatched, 'repicks', (
                   SELECT json_agg(json_build_array(returned, added) ORDER BY seq)
                   FROM repicks
                   WHERE repicks.actor_id = lines.pool AND repicks.order_seq = lines.pool_order),
               'recalled', (
                   SELECT json_agg(stocks.seq) FROM stocks
                   WHERE page.status IN ('new', 'partly_dispatched')
                     AND stocks.actor_id = lines.pool AND stocks.recalled > 0)) ORDER BY line)
    FROM process_order_lines AS lines WHERE page.has_lines AND lines.actor_id = page.actor_id
) AS lines, (
    SELECT json_agg(json_build_array(returned, added) ORDER BY repicks.seq)
    FROM repicks
    WHERE NOT page.has_lines AND repicks.actor_id = page.actor_id
      AND repicks.order_seq = page.seq
) AS repicks, (
    SELECT json_agg(stocks.seq) FROM stocks
    WHERE NOT page.has_lines AND page.status IN ('new', 'partly_dispatched')
      AND stocks.actor_id = page.actor_id AND stocks.recalled > 0
) AS recalled
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
