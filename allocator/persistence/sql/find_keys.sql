-- Find the rows that remember idempotency keys.
-- $1 principals  $2 keys; two arrays of one length
SELECT stored.actor_id, stored.seq, stored.at, stored.kind, stored.version, stored.body,
       stored.digest, stored.principal, stored.idempotency_key, stored.request_digest
FROM unnest($1::text[], $2::text[]) AS asked (principal, idempotency_key)
JOIN journal AS stored USING (principal, idempotency_key)
