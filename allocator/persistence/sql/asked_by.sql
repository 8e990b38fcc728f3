-- Read the rows of an actor that are about a process which asked something of it.
-- $1 actor id  $2 the process, as text  $3 the seq after which to begin  $4 the last seq to look at
SELECT actor_id, seq, at, kind, version, body, digest, principal, idempotency_key, request_digest
FROM journal
WHERE actor_id = $1 AND seq > $3 AND seq <= $4
  AND kind IN ('product_expected', 'units_sent', 'send_refused', 'units_taken', 'process_let_go')
  AND body ->> 'process' = $2
ORDER BY seq
