-- Note that events are worked off, unless newer ones have taken their places.
-- $1 feed  $2 actor ids  $3 codes, '' for none  $4 as of
UPDATE wms_events AS known SET is_waiting = false
FROM unnest($2::bigint[], $3::text[], $4::bigint[]) AS event (actor_id, code, as_of)
WHERE known.feed = $1 AND (known.actor_id, known.code, known.as_of) = (event.actor_id, event.code, event.as_of)
