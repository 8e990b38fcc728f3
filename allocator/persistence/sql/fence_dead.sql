-- Fence those of these incarnations whose heartbeat is still missing; waits for what they have
-- in flight.
-- $1 incarnations  $2 milliseconds without a heartbeat that count as dead
UPDATE workers SET fenced = true
WHERE incarnation = ANY ($1::uuid[]) AND NOT fenced
  AND NOT EXISTS (
    SELECT 1 FROM heartbeats
    WHERE heartbeats.incarnation = workers.incarnation
      AND heartbeats.at > now() - $2 * interval '1 millisecond')
