-- Note that events are worked off, unless newer ones have taken their places. They are locked in the order
-- in which they are taken, so that nobody who tells of some of them is blocked for good.
-- $1 feed  $2 actor ids  $3 codes, '' for none  $4 as of
WITH done AS (
    SELECT known.actor_id, known.code
    FROM wms_events AS known
    JOIN unnest($2::bigint[], $3::text[], $4::bigint[]) AS event (actor_id, code, as_of)
        USING (actor_id, code, as_of)
    WHERE known.feed = $1
    ORDER BY known.actor_id, known.code COLLATE "C" FOR UPDATE OF known
)
UPDATE wms_events AS known SET is_waiting = false
FROM done
WHERE known.feed = $1 AND (known.actor_id, known.code) = (done.actor_id, done.code)
