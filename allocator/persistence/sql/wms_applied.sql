-- Return what a WMS has been told of pools, and what of it it had applied with a push. Nothing is
-- returned once it is known to have applied more.
-- $1 feed  $2 actor ids  $3 through which push it was applied
SELECT pool.actor_id, wms_pools.account,
       (coalesce(wms_pools.applied, '{}') || coalesce(later.applied, '{}'))::text AS applied
FROM wms_feeds, unnest($2::bigint[]) AS pool (actor_id)
LEFT JOIN wms_pools ON wms_pools.feed = $1 AND wms_pools.actor_id = pool.actor_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(code, after) AS applied
    FROM (
        SELECT DISTINCT ON (coalesce(line ->> 0, ''))
               coalesce(line ->> 0, '') AS code, (line ->> 4)::bigint AS after
        FROM wms_pushes, json_array_elements(lines) AS line
        WHERE wms_pushes.feed = $1 AND wms_pushes.actor_id = pool.actor_id AND number <= $3
          AND number > (SELECT applied FROM wms_feeds WHERE actor_id = $1)
        ORDER BY coalesce(line ->> 0, ''), number DESC
    ) AS lines
) AS later ON true
WHERE wms_feeds.actor_id = $1 AND wms_feeds.applied <= $3
