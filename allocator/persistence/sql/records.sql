-- Read an actor's rows in order.
-- $1 actor id  $2 the seq after which to begin  $3 how many at most
SELECT actor_id, seq, at, kind, version, body, digest, principal, idempotency_key, request_digest
FROM journal WHERE actor_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
