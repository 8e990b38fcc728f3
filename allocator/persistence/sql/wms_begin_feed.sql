-- Have a feed be known, or be on again.
-- $1 actor id  $2 warehouse  $3 position in the journal from which on the WMS is told
-- $4 whether its actor was there before: then this database does not know what the WMS was told
INSERT INTO wms_feeds (actor_id, warehouse, position, numbers)
VALUES ($1, $2, $3, CASE WHEN $4 THEN 'lost' ELSE 'new' END)
ON CONFLICT (actor_id) DO UPDATE SET is_on = true
