-- Store what a WMS has been told of some pools.
-- $1 feed  $2 actor ids  $3 accounts
INSERT INTO wms_pools (feed, actor_id, account)
SELECT $1, pool.actor_id, pool.account::json
FROM unnest($2::bigint[], $3::text[]) AS pool (actor_id, account)
ON CONFLICT (feed, actor_id) DO UPDATE SET account = excluded.account
