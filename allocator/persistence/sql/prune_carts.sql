-- List carts by actor, as `prune_moves` does moves, each with all that the read models say of it. One
-- that was closed or has expired has ended when every pool has let go, if any was ever asked; one that
-- was paid for when its order has.
-- $1 actor id after which to begin  $2 how many at most  $3 time
-- $4 era and $5 xid of the slowest consumer
SELECT carts.actor_id, carts.version, json_build_object(
           'version', carts.version, 'customer', carts.customer, 'status', carts.status,
           'opened_at_ms', (extract(epoch FROM carts.opened_at) * 1000)::bigint,
           'expires_at_ms', (extract(epoch FROM carts.expires_at) * 1000)::bigint,
           'checkouts', (
               SELECT coalesce(json_agg(json_build_object(
                          'attempt', attempt, 'status', checkouts.status, 'amount', amount,
                          'currency', currency, 'items', items,
                          'begun_at_ms', (extract(epoch FROM begun_at) * 1000)::bigint,
                          'changed_at_ms', (extract(epoch FROM changed_at) * 1000)::bigint,
                          'changed', changed) ORDER BY attempt), '[]')
               FROM checkouts WHERE checkouts.actor_id = carts.actor_id),
           'order', CASE WHEN process_orders.actor_id IS NOT NULL THEN json_build_object(
               'seq', process_orders.seq, 'version', process_orders.version,
               'status', process_orders.status, 'customer', process_orders.customer,
               'created_at_ms', (extract(epoch FROM process_orders.created_at) * 1000)::bigint,
               'closed_at_ms', (extract(epoch FROM process_orders.closed_at) * 1000)::bigint,
               'confirmed', process_orders.confirmed, 'ended', process_orders.ended, 'lines', (
                   SELECT coalesce(json_agg(json_build_object(
                              'pool', pool, 'order', pool_order, 'warehouse', warehouse,
                              'product', product, 'quantity', quantity, 'picks', picks,
                              'dispatched', dispatched) ORDER BY line), '[]')
                   FROM process_order_lines AS lines
                   WHERE lines.actor_id = carts.actor_id)) END) AS told
FROM carts
LEFT JOIN process_orders USING (actor_id)
JOIN journal AS last ON last.actor_id = carts.actor_id AND last.seq = carts.version
WHERE carts.actor_id > $1
  AND last.at < $3 AND (last.era, last.xid) <= ($4::int, $5::text::xid8)
  AND CASE carts.status WHEN 'open' THEN false
                        WHEN 'paid' THEN process_orders.ended
                        ELSE NOT EXISTS (SELECT FROM journal
                                         WHERE journal.actor_id = carts.actor_id
                                           AND kind = 'line_wanted')
                             OR EXISTS (SELECT FROM journal
                                        WHERE journal.actor_id = carts.actor_id
                                          AND kind = 'cart_ended') END
  AND NOT EXISTS (SELECT FROM floors WHERE floors.actor_id = carts.actor_id)
ORDER BY carts.actor_id
LIMIT $2
