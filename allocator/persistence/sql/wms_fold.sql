-- Take pushes that a WMS has applied into its pools; of the pushes of a batch the last one counts.
-- $1 feed  $2 through which number
WITH lines AS (
    SELECT DISTINCT ON (actor_id, coalesce(line ->> 0, ''))
           actor_id, coalesce(line ->> 0, '') AS code, (line ->> 4)::bigint AS after
    FROM wms_pushes, json_array_elements(lines) AS line
    WHERE feed = $1 AND number <= $2
      AND number > (SELECT applied FROM wms_feeds WHERE actor_id = $1)
    ORDER BY actor_id, coalesce(line ->> 0, ''), number DESC
), pools AS (
    SELECT actor_id, jsonb_object_agg(code, after) AS applied FROM lines GROUP BY actor_id
)
UPDATE wms_pools SET applied = wms_pools.applied || pools.applied
FROM pools
WHERE wms_pools.feed = $1 AND wms_pools.actor_id = pools.actor_id
