-- Return what a run says of the pools of a warehouse, in order of their actors: of what no page names,
-- nothing is orderable. Nothing is returned once another run has taken its pushes in.
-- $1 feed  $2 run  $3 through which push it is applied  $4 after which actor  $5 how many pools
SELECT here.actor_id, wms_pools.account, coalesce(wms_pools.applied, '{}')::text AS applied,
       said.lots
FROM (SELECT pools.actor_id
      FROM wms_feeds JOIN pools USING (warehouse)
      WHERE wms_feeds.actor_id = $1 AND wms_feeds.applied = $3
        AND pools.product IS NOT NULL AND pools.actor_id > $4
      ORDER BY pools.actor_id LIMIT $5) AS here
LEFT JOIN wms_pools ON wms_pools.feed = $1 AND wms_pools.actor_id = here.actor_id
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_array(
               code, CASE WHEN run = $2 THEN orderable ELSE 0 END,
               (extract(epoch FROM expires_at) * 1000)::bigint,
               (extract(epoch FROM received_at) * 1000)::bigint))::text AS lots
    FROM wms_lots
    WHERE wms_lots.feed = $1 AND wms_lots.actor_id = here.actor_id
) AS said ON true
ORDER BY here.actor_id
