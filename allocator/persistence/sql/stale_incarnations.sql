-- List the unfenced incarnations whose heartbeat stopped.
-- $1 own incarnation  $2 milliseconds without a heartbeat that count as dead
SELECT incarnation FROM workers
WHERE NOT fenced AND incarnation IS DISTINCT FROM $1
  AND NOT EXISTS (
    SELECT 1 FROM heartbeats
    WHERE heartbeats.incarnation = workers.incarnation
      AND heartbeats.at > now() - $2 * interval '1 millisecond')
