-- Have a feed be off, unless it was put again since it has ended.
-- $1 feed
UPDATE wms_feeds SET is_on = false
WHERE actor_id = $1
  AND (SELECT kind FROM journal WHERE actor_id = $1 ORDER BY seq DESC LIMIT 1) = 'feed_ended'
