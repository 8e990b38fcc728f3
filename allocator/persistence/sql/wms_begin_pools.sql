-- Have pools be known of which a WMS says something.
-- $1 feed  $2 actor ids
INSERT INTO wms_pools (feed, actor_id)
SELECT $1, actor_id FROM unnest($2::bigint[]) AS pool (actor_id)
ON CONFLICT (feed, actor_id) DO NOTHING
