-- Fence those of these incarnations that are known to have ended, or whose heartbeat is still
-- missing; waits for what they have in flight.
-- $1 incarnations  $2 milliseconds without a heartbeat that count as dead
-- $3 incarnations known to have ended
UPDATE workers SET fenced = true
WHERE incarnation = ANY ($1::uuid[]) AND NOT fenced
  AND (incarnation = ANY ($3::uuid[]) OR NOT EXISTS (
    SELECT 1 FROM heartbeats
    WHERE heartbeats.incarnation = workers.incarnation
      AND heartbeats.at > now() - $2 * interval '1 millisecond'))
