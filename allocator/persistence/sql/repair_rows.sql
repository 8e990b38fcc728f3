-- Read the next rows of an actor that the read models have passed.
-- $1 actor id  $2 seq after which to begin  $3 how many at most  $4 era and $5 xid of the position
SELECT actor_id, seq, at, kind, version, body, digest, principal, idempotency_key, request_digest
FROM journal
WHERE actor_id = $1 AND seq > $2 AND (era, xid) <= ($4::int, $5::text::xid8)
ORDER BY seq
LIMIT $3
