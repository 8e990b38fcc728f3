-- What actors there were at a cut: those with an event by then, pruned or not, and those of pools whose
-- names were known, used or not.
-- $1 era and $2 xid of the cut
-- $3 ids of actors that have changed since  $4 when they wanted to be woken, ms or NULL
SELECT actors.id, actors.kind, actors.key,
       CASE WHEN woken.id IS NULL THEN actors.wake_at
            ELSE 'epoch'::timestamptz + woken.at_ms * interval '1 ms' END AS wake_at
FROM actors
LEFT JOIN pools ON pools.actor_id = actors.id
LEFT JOIN warehouses ON warehouses.code = pools.warehouse
LEFT JOIN products ON products.sku = pools.product
LEFT JOIN unnest($3::bigint[], $4::bigint[]) AS woken (id, at_ms) ON woken.id = actors.id
WHERE coalesce((SELECT (era, xid) < ($1::int, $2::text::xid8) FROM journal
                WHERE actor_id = coalesce(warehouses.actor_id, actors.id) AND seq = 1),
               EXISTS (SELECT FROM floors WHERE floors.actor_id = actors.id))
  AND (products.sku IS NULL
       OR (SELECT (era, xid) < ($1::int, $2::text::xid8) FROM journal
           WHERE actor_id = products.actor_id AND seq = 1))
