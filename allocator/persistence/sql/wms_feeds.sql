-- List feeds that were ever put, by warehouse.
-- $1 of this warehouse, NULL for any  $2 after which  $3 how many at most
SELECT actor_id, warehouse, position, numbered, acknowledged, applied, is_on, numbers, kept_by,
       (SELECT at FROM wms_pushes
        WHERE feed = wms_feeds.actor_id AND number > wms_feeds.acknowledged
        ORDER BY number LIMIT 1) AS waiting_since,
       (SELECT coalesce(sum(short), 0)::bigint FROM wms_pools
        WHERE feed = wms_feeds.actor_id AND short > 0) AS shortfall,
       (SELECT count(*) FROM (
            SELECT FROM wms_events WHERE feed = wms_feeds.actor_id AND is_waiting LIMIT 10000
        ) AS counted) AS events,
       (SELECT taken_at FROM wms_events WHERE feed = wms_feeds.actor_id AND is_waiting
        ORDER BY as_of LIMIT 1) AS events_since,
       EXISTS (SELECT 1 FROM wms_events WHERE feed = wms_feeds.actor_id AND is_waiting)
           OR EXISTS (SELECT 1 FROM wms_parts WHERE feed = wms_feeds.actor_id)
           OR EXISTS (
               SELECT 1 FROM wms_dry_runs WHERE feed = wms_feeds.actor_id AND answer IS NULL
           ) AS is_told
FROM wms_feeds
WHERE EXISTS (SELECT 1 FROM journal WHERE journal.actor_id = wms_feeds.actor_id AND seq = 1)
  AND ($1::text IS NULL OR warehouse = $1) AND warehouse > $2
ORDER BY warehouse LIMIT $3
