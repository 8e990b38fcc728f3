-- Remove incarnations that were fenced, own nothing, and began more than an hour ago. To whoever
-- still writes under one of them, no row says the same as a fenced one.
-- $1 how many at most
DELETE FROM workers
WHERE incarnation IN (
    SELECT incarnation FROM workers
    WHERE fenced AND started_at < now() - interval '1 hour'
      AND NOT EXISTS (SELECT 1 FROM shards WHERE shards.incarnation = workers.incarnation)
    LIMIT $1 FOR UPDATE SKIP LOCKED)
