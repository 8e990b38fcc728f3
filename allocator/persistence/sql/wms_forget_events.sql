-- Forget the events that are no newer than a complete run, in the order in which they are taken.
-- $1 feed  $2 as of when the run is
WITH old AS (
    SELECT actor_id, code FROM wms_events
    WHERE feed = $1 AND as_of <= $2
    ORDER BY actor_id, code COLLATE "C" FOR UPDATE
)
DELETE FROM wms_events AS known USING old
WHERE known.feed = $1 AND (known.actor_id, known.code) = (old.actor_id, old.code)
