-- Keep a part of a snapshot; nothing if the feed is off, a newer snapshot is there, or one of as old
-- that is another one.
-- $1 feed  $2 as of  $3 part  $4 of so many  $5 applied through  $6 items
INSERT INTO wms_parts (feed, as_of, part, parts, applied_through, items)
SELECT actor_id, $2, $3, $4, $5, $6::json FROM wms_feeds
WHERE actor_id = $1 AND is_on
  AND NOT EXISTS (
      SELECT 1 FROM wms_parts
      WHERE feed = $1 AND (as_of > $2 OR as_of = $2 AND (parts, applied_through) <> ($4, $5)))
ON CONFLICT (feed, as_of, part) DO NOTHING
RETURNING part
