-- Read the next rows of a range of actors, all that they say.
-- $1 actor id and $2 seq after which to begin  $3 the last actor of the range  $4 how many at most
SELECT actor_id, seq, at, kind, version, body, digest, principal, idempotency_key, request_digest
FROM journal
WHERE (actor_id, seq) > ($1::bigint, $2::bigint) AND actor_id <= $3
ORDER BY actor_id, seq
LIMIT $4
