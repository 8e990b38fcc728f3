-- List orders of several lines by actor, as `prune_moves` does moves, each with all that the read
-- model says of it. The last row stays: of an order that was declined at once, that is all there is.
-- $1 actor id after which to begin  $2 how many at most  $3 time
-- $4 era and $5 xid of the slowest consumer
SELECT process_orders.actor_id, process_orders.version, json_build_object(
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
               WHERE lines.actor_id = process_orders.actor_id)) AS told
FROM process_orders
JOIN actors ON actors.id = process_orders.actor_id AND actors.kind = 'order'
JOIN journal AS last
    ON last.actor_id = process_orders.actor_id AND last.seq = process_orders.version
WHERE process_orders.actor_id > $1 AND process_orders.ended AND process_orders.version > 1
  AND last.at < $3 AND (last.era, last.xid) <= ($4::int, $5::text::xid8)
  AND NOT EXISTS (SELECT FROM floors WHERE floors.actor_id = process_orders.actor_id)
ORDER BY process_orders.actor_id
LIMIT $2
