-- List what was found different in the pools of a feed, the newest first, from the journal itself.
-- $1 feed  $2 time, $3 actor id and $4 seq before which to begin  $5 how many at most
SELECT journal.at, journal.actor_id, journal.seq, journal.version, journal.body, pools.product
FROM journal JOIN pools USING (actor_id)
WHERE journal.kind = 'lot_reconciled' AND (journal.body ->> 'feed')::bigint = $1
  AND (journal.at, journal.actor_id, journal.seq) < ($2::timestamptz, $3, $4)
ORDER BY journal.at DESC, journal.actor_id DESC, journal.seq DESC
LIMIT $5
