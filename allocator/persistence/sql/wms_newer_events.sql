-- Return the batches of pools of which something newer than a run was told by itself.
-- $1 feed  $2 as of when the run is  $3 actor ids
SELECT actor_id, code FROM wms_events
WHERE feed = $1 AND as_of > $2 AND actor_id = ANY ($3::bigint[])
