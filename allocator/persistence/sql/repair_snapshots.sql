-- Drop snapshots.
-- $1 actor id  $2 their seqs
DELETE FROM snapshots WHERE actor_id = $1 AND seq = ANY ($2::bigint[])
