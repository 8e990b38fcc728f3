-- Prove that this incarnation has not been fenced, and look keys up; a take-over under way makes
-- this wait. Returns no row if it has, and else at least one: what is stored under the keys, or
-- NULLs.
-- $1 incarnation  $2 principals  $3 idempotency keys; texts joined by U+001F
WITH alive AS (
    SELECT 1 FROM workers WHERE incarnation = $1 AND NOT fenced FOR SHARE
)
SELECT found.*
FROM alive
LEFT JOIN (
    SELECT journal.actor_id, journal.seq, journal.at, journal.kind, journal.version, journal.body,
           journal.digest, journal.principal, journal.idempotency_key, journal.request_digest
    FROM unnest(string_to_array($2, E'\x1f'), string_to_array($3, E'\x1f'))
        AS asked (principal, idempotency_key)
    JOIN journal ON journal.idempotency_key = asked.idempotency_key
                AND journal.principal = coalesce(asked.principal, '')
) AS found ON true
