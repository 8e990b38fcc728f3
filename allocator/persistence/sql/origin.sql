-- Say where the recovery of an actor starts: its newest snapshots and when it is to be woken.
-- The head is the digest of the row that the snapshot stands on.
-- $1 actor id  $2 the schema version that we can read
SELECT actors.wake_at, snapshots.seq, snapshots.state, snapshots.digest, journal.digest AS head
FROM actors
LEFT JOIN snapshots ON snapshots.actor_id = actors.id AND snapshots.schema_version = $2
LEFT JOIN journal ON journal.actor_id = actors.id AND journal.seq = snapshots.seq
WHERE actors.id = $1
ORDER BY snapshots.seq DESC NULLS LAST
