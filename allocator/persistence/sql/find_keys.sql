-- Find the rows that remember idempotency keys.
-- $1 principals  $2 idempotency keys; texts joined by U+001F
SELECT journal.actor_id, journal.seq, journal.at, journal.kind, journal.version, journal.body,
       journal.digest, journal.principal, journal.idempotency_key, journal.request_digest
FROM unnest(string_to_array($1, E'\x1f'), string_to_array($2, E'\x1f'))
    AS asked (principal, idempotency_key)
JOIN journal ON journal.idempotency_key = asked.idempotency_key
            AND journal.principal = coalesce(asked.principal, '')
