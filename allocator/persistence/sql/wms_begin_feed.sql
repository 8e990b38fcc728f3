-- Have a feed be known, or be on again.
-- $1 actor id  $2 warehouse  $3 position in the journal from which on the WMS is told
INSERT INTO wms_feeds (actor_id, warehouse, position) VALUES ($1, $2, $3)
ON CONFLICT (actor_id) DO UPDATE SET is_on = true
