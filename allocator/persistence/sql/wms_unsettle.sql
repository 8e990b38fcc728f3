-- Note that pools are about to be asked: until they answer, nobody knows what they have followed.
-- $1 feed  $2 actor ids
WITH own AS (
    SELECT FROM wms_feeds WHERE actor_id = $1 FOR SHARE  -- whoever makes pushes locks this first
)
UPDATE wms_pools SET settled = NULL
FROM own
WHERE feed = $1 AND wms_pools.actor_id = ANY ($2::bigint[]) AND settled IS NOT NULL
