-- Read those rows of an actor that may be about an order or a lot: the one that made it, and those
-- in whose body its number stands somewhere. The reader looks closer.
-- $1 actor id  $2 the number  $3 the seq after which to begin  $4 the last seq to look at
SELECT actor_id, seq, at, kind, version, body, digest, principal, idempotency_key, request_digest
FROM journal
WHERE actor_id = $1 AND seq > $3 AND seq <= $4
  AND (seq = $2::bigint OR strpos(body::text, $2::bigint::text) > 0)
ORDER BY seq
