-- Note how many promised units are missing of some pools.
-- $1 feed  $2 actor ids  $3 units
WITH own AS (
    SELECT FROM wms_feeds WHERE actor_id = $1 FOR SHARE  -- whoever makes pushes locks this first
)
INSERT INTO wms_pools (feed, actor_id, short)
SELECT $1, pool.actor_id, pool.short
FROM own, unnest($2::bigint[], $3::bigint[]) AS pool (actor_id, short)
ON CONFLICT (feed, actor_id) DO UPDATE SET short = excluded.short
