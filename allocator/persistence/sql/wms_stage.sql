-- Note what a WMS says of batches, unless a newer run has said something of them, and have the pools
-- be known of which it says something.
-- $1 feed  $2 run  $3 actor ids  $4 codes, '' for none  $5 orderable  $6 expires at  $7 received at
WITH begun AS (
    INSERT INTO wms_pools (feed, actor_id)
    SELECT DISTINCT $1::bigint, actor_id FROM unnest($3::bigint[]) AS pool (actor_id)
    ORDER BY actor_id
    ON CONFLICT (feed, actor_id) DO NOTHING
)
INSERT INTO wms_lots (feed, actor_id, code, run, orderable, expires_at, received_at)
SELECT $1, item.actor_id, item.code, $2, item.orderable, item.expires_at, item.received_at
FROM unnest($3::bigint[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[])
    AS item (actor_id, code, orderable, expires_at, received_at)
ON CONFLICT (feed, actor_id, code) DO UPDATE
SET run = excluded.run, orderable = excluded.orderable, expires_at = excluded.expires_at,
    received_at = excluded.received_at
WHERE wms_lots.run <= excluded.run
