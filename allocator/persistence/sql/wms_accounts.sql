-- Return what a WMS has been told of some pools, and their products; nothing of other actors.
-- Each is looked up: or all pools of the warehouse would be read, to find those that are asked for.
-- $1 feed  $2 warehouse  $3 actor ids
SELECT pool.actor_id, pool.product, told.account
FROM unnest($3::bigint[]) AS asked (actor_id)
CROSS JOIN LATERAL (
    SELECT * FROM pools WHERE pools.actor_id = asked.actor_id LIMIT 1
) AS pool
LEFT JOIN LATERAL (
    SELECT account FROM wms_pools WHERE feed = $1 AND wms_pools.actor_id = asked.actor_id LIMIT 1
) AS told ON true
WHERE pool.warehouse = $2 AND pool.product IS NOT NULL
