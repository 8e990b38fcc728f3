-- Read a snapshot.
-- $1 actor id  $2 seq
SELECT state, digest FROM snapshots WHERE actor_id = $1 AND seq = $2
