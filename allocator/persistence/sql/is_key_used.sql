-- Say whether a request with this key has succeeded before.
-- $1 principal  $2 idempotency key
SELECT EXISTS (SELECT FROM journal WHERE idempotency_key = $2 AND principal = $1)
