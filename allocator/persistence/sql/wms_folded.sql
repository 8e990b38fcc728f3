-- Note that pushes are taken into their pools; what is applied was heard.
-- $1 feed  $2 through which number
UPDATE wms_feeds SET applied = $2, acknowledged = greatest(acknowledged, $2)
WHERE actor_id = $1 AND applied <= $2
