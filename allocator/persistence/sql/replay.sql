-- Read what an actor's recovery needs of its rows, in order: half of the columns cost half.
-- $1 actor id  $2 the seq after which to begin  $3 how many at most
SELECT seq, at, kind, version, body, digest
FROM journal WHERE actor_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
