-- Keep what a WMS tells of batches, if it is newer than what is kept; nothing if the feed is off.
-- $1 feed  $2 actor ids  $3 codes, '' for none  $4 as of  $5 applied through  $6 orderable
-- $7 expires at  $8 received at  $9 when a poll was wished, or NULL; no batch twice
-- Returns the batches of which it is kept.
INSERT INTO wms_events AS known
    (feed, actor_id, code, as_of, applied_through, orderable, expires_at, received_at, wished_at)
SELECT $1, event.*
FROM wms_feeds, unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                       $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]) AS event
WHERE wms_feeds.actor_id = $1 AND wms_feeds.is_on
ON CONFLICT (feed, actor_id, code) DO UPDATE
SET as_of = excluded.as_of, applied_through = excluded.applied_through,
    orderable = excluded.orderable, expires_at = excluded.expires_at,
    received_at = excluded.received_at, is_waiting = true,
    taken_at = CASE WHEN known.is_waiting THEN known.taken_at ELSE now() END,
    wished_at = greatest(excluded.wished_at, known.wished_at)
WHERE known.as_of < excluded.as_of
RETURNING actor_id, code
