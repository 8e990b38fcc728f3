-- Return what was told of batches of pools that is newer than a run.
-- $1 feed  $2 as of when the run is  $3 actor ids
SELECT actor_id, code, as_of, applied_through, orderable, expires_at, received_at, wished_at
FROM wms_events
WHERE feed = $1 AND as_of > $2 AND actor_id = ANY ($3::bigint[])
