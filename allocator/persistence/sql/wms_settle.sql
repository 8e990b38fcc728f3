-- Note what pools have followed, as they answered; nothing if a newer run has begun to ask.
-- $1 feed  $2 run  $3 actor ids  $4 figures  $5 up to which row
WITH own AS (
    SELECT FROM wms_feeds WHERE actor_id = $1 AND settling = $2 FOR SHARE
)
UPDATE wms_pools SET settled = pool.settled::jsonb, settled_seq = pool.seq
FROM own, unnest($3::bigint[], $4::text[], $5::bigint[]) AS pool (actor_id, settled, seq)
WHERE wms_pools.feed = $1 AND wms_pools.actor_id = pool.actor_id
  AND wms_pools.actor_id = ANY ($3::bigint[])  -- or all of the feed would be read, to join these
