-- Return the events that wait to be worked off, the oldest first.
-- $1 feed  $2 pools of which none is wanted  $3 how many at most
SELECT actor_id, code, as_of, applied_through, orderable, expires_at, received_at, wished_at
FROM wms_events
WHERE feed = $1 AND is_waiting AND actor_id <> ALL ($2::bigint[])
ORDER BY as_of LIMIT $3
