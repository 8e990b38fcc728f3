-- Have it durable that a WMS has every push up to a number; that never goes back.
-- $1 feed  $2 number
UPDATE wms_feeds SET acknowledged = greatest(acknowledged, least($2, numbered)) WHERE actor_id = $1
