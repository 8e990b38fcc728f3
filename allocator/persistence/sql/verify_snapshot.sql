-- Read the state of one snapshot.
-- $1 actor id  $2 seq
SELECT state FROM snapshots WHERE actor_id = $1 AND seq = $2
