-- List what was found different in one pool, the newest first. A warehouse has one feed at most, for ever.
-- $1 pool  $2 seq before which to begin  $3 how many at most
SELECT journal.at, journal.actor_id, journal.seq, journal.version, journal.body, pools.product
FROM journal JOIN pools USING (actor_id)
WHERE journal.kind = 'lot_reconciled' AND journal.actor_id = $1 AND journal.seq < $2
ORDER BY journal.seq DESC
LIMIT $3
