-- Go on with the numbers of a feed that is about to begin, if its WMS knows them.
-- $1 feed  $2 the last number that it knows
UPDATE wms_feeds SET numbers = 'ours'
WHERE actor_id = $1 AND numbers = 'new' AND $2 BETWEEN acknowledged AND numbered
