-- Return what a WMS has been told of some pools, and their products; nothing of other actors.
-- $1 feed  $2 warehouse  $3 actor ids
SELECT pools.actor_id, pools.product, wms_pools.account
FROM pools
LEFT JOIN wms_pools ON wms_pools.feed = $1 AND wms_pools.actor_id = pools.actor_id
WHERE pools.actor_id = ANY ($3::bigint[]) AND pools.warehouse = $2 AND pools.product IS NOT NULL
