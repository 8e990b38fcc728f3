-- Remove rows that lie at or below their actor's floor. Returns how many there were.
-- $1 actor ids  $2 seqs after which to begin  $3 the last seqs; arrays of one length
WITH removed AS (
    DELETE FROM journal
    USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS range (actor_id, after, up_to),
          floors
    WHERE journal.actor_id = range.actor_id
      AND journal.seq > range.after AND journal.seq <= range.up_to
      AND floors.actor_id = range.actor_id AND journal.seq <= floors.seq
    RETURNING 1
)
SELECT count(*) FROM removed
