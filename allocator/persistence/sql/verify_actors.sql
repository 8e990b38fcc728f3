-- Say what is known of a range of actors beside their rows: what they are, when they are to be
-- woken, how far their read models have come, what is in their balances, what they are as ticket
-- options, as moves and as orders of several lines, their floors, and a digest of what is listed of
-- their orders that got other lots.
-- A row is passed over if the projection has come past it without applying it; of feeds it has nothing.
-- $1 first and $2 last actor id
WITH position AS MATERIALIZED (
    SELECT era, xid FROM projections WHERE name = 'read models'
)
SELECT actors.id, actors.kind, actors.key, actors.wake_at, pools.warehouse, pools.product,
       coalesce(balances.version, moves.version, carts.version,
                process_orders.version, 0) AS version, balances.available,
       balances.ordered, balances.held, balances.expired, balances.aside, balances.product AS balance_product,
       quarantined_projections.error AS quarantine,
       ticket_options.actor_id IS NOT NULL AS is_option, ticket_options.name AS option_name,
       ticket_options.description AS option_description,
       ticket_options.allocation AS option_allocation,
       ticket_options.created_at AS option_created_at,
       moves.actor_id IS NOT NULL AS is_move, moves.product AS move_product, moves.from_code,
       moves.to_code, moves.quantity, moves.status, moves.requested_at, moves.decided_at, moves.lots,
       moves.reason, moves.ended, floors.seq AS floor, next.seq AS passed_over,
       repicked.repicks, order_row, CASE WHEN carts.actor_id IS NOT NULL THEN json_build_object(
           'version', carts.version, 'customer', carts.customer, 'status', carts.status,
           'opened_at_ms', (extract(epoch FROM carts.opened_at) * 1000)::bigint,
           'expires_at_ms', (extract(epoch FROM carts.expires_at) * 1000)::bigint,
           'order', order_row, 'checkouts', (
               SELECT coalesce(json_agg(json_build_object(
                          'attempt', attempt, 'status', checkouts.status, 'amount', amount,
                          'currency', currency, 'items', items,
                          'begun_at_ms', (extract(epoch FROM begun_at) * 1000)::bigint,
                          'changed_at_ms', (extract(epoch FROM changed_at) * 1000)::bigint,
                          'changed', changed) ORDER BY attempt), '[]')
               FROM checkouts WHERE checkouts.actor_id = actors.id)) END AS cart_row
FROM actors
LEFT JOIN pools ON pools.actor_id = actors.id
LEFT JOIN balances ON balances.actor_id = actors.id
LEFT JOIN moves ON moves.actor_id = actors.id
LEFT JOIN process_orders ON process_orders.actor_id = actors.id
LEFT JOIN carts ON carts.actor_id = actors.id
LEFT JOIN ticket_options ON ticket_options.actor_id = actors.id
LEFT JOIN quarantined_projections ON quarantined_projections.actor_id = actors.id
LEFT JOIN floors ON floors.actor_id = actors.id
LEFT JOIN journal AS next ON actors.kind IN ('pool', 'move', 'order', 'cart')
    AND next.actor_id = actors.id
    AND next.seq = greatest(balances.version, moves.version, process_orders.version,
                            carts.version, floors.seq, 0) + 1
    AND (next.era, next.xid) <= ((SELECT era FROM position), (SELECT xid FROM position))
CROSS JOIN LATERAL (
    SELECT CASE WHEN process_orders.actor_id IS NOT NULL THEN json_build_object(
           'seq', process_orders.seq, 'version', process_orders.version,
           'status', process_orders.status, 'customer', process_orders.customer,
           'created_at_ms', (extract(epoch FROM process_orders.created_at) * 1000)::bigint,
           'closed_at_ms', (extract(epoch FROM process_orders.closed_at) * 1000)::bigint,
           'confirmed', process_orders.confirmed, 'ended', process_orders.ended, 'lines', (
               SELECT coalesce(json_agg(json_build_object(
                          'pool', pool, 'order', pool_order, 'warehouse', warehouse,
                          'product', lines.product, 'quantity', lines.quantity, 'picks', picks,
                          'dispatched', dispatched) ORDER BY line), '[]')
               FROM process_order_lines AS lines WHERE lines.actor_id = actors.id)) END AS order_row
) AS led
LEFT JOIN LATERAL (
    SELECT md5(string_agg(concat_ws(' ', seq, order_seq, returned::jsonb, added::jsonb), E'\n'
                          ORDER BY seq)) AS repicks
    FROM repicks
    WHERE repicks.actor_id = actors.id AND repicks.seq > coalesce(floors.seq, 0)
) AS repicked ON actors.kind = 'pool'
WHERE actors.id BETWEEN $1 AND $2
ORDER BY actors.id
