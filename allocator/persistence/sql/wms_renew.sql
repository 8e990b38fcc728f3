-- Have a feed that has ended begin anew, with a WMS that knows nothing of what the former one was told:
-- numbers begin at 1, and what has left is nothing that it has to apply. Of a feed that has not ended,
-- or was put again, nothing changes.
-- $1 feed  $2 position in the journal from which on the WMS is told
WITH renewed AS (
    UPDATE wms_feeds SET position = $2, numbered = 0, acknowledged = 0, applied = 0
    WHERE actor_id = $1
      AND (SELECT kind FROM journal WHERE actor_id = $1 ORDER BY seq DESC LIMIT 1) = 'feed_ended'
    RETURNING actor_id AS feed
), untold AS (
    DELETE FROM wms_pushes USING renewed WHERE wms_pushes.feed = renewed.feed
), unsaid AS (
    DELETE FROM wms_lots USING renewed WHERE wms_lots.feed = renewed.feed
)
UPDATE wms_pools
SET account = (account::jsonb - 'committed' - 'base')::json, applied = '{}', short = 0
FROM renewed WHERE wms_pools.feed = renewed.feed
