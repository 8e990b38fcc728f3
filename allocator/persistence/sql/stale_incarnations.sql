-- List the unfenced incarnations that are known to have ended, or whose heartbeat stopped.
-- $1 own incarnation  $2 milliseconds without a heartbeat that count as dead
-- $3 incarnations known to have ended
SELECT incarnation FROM workers
WHERE NOT fenced AND incarnation IS DISTINCT FROM $1
  AND (incarnation = ANY ($3::uuid[]) OR NOT EXISTS (
    SELECT 1 FROM heartbeats
    WHERE heartbeats.incarnation = workers.incarnation
      AND heartbeats.at > now() - $2 * interval '1 millisecond'))
