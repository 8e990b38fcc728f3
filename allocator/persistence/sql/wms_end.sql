-- Have a feed be off.
-- $1 feed
UPDATE wms_feeds SET is_on = false WHERE actor_id = $1
