-- Append a batch of rows, provided this incarnation has not been fenced, and look keys up.
-- FOR SHARE makes a concurrent take-over wait: without it the check is only a hint.
-- Returns at least one row, each with the number of rows stored: fewer than the batch has means
-- fenced. What was stored under the keys before stands beside it, or NULLs.
-- Texts are joined by U+001F, digests of 16 bytes by nothing; all columns have one length, but
-- those of keys may be empty.
-- $1 incarnation  $2 era
-- $3 actor ids  $4 seqs  $5 times, ms of Unix time  $6 kinds  $7 versions  $8 bodies  $9 digests
-- $10 principals  $11 idempotency keys, empty for none  $12 request digests
-- $13 ids of actors with a new wake-up time  $14 those times; two arrays of one length
-- $15 principals  $16 idempotency keys to look up
-- $17 ids of actors that come into being, of which none is among $13  $18 kinds  $19 wake-up times
WITH alive AS (
    SELECT 1 FROM workers WHERE incarnation = $1 AND NOT fenced FOR SHARE
), wakes AS (
    UPDATE actors SET wake_at = changed.wake_at
    FROM alive, unnest($13::bigint[], $14::timestamptz[]) AS changed (id, wake_at)
    WHERE actors.id = changed.id
), born AS (
    INSERT INTO actors (id, kind, key, wake_at)
    SELECT newborn.id, newborn.kind, newborn.kind || ':' || newborn.id, newborn.wake_at
    FROM alive, unnest($17::bigint[], $18::text[], $19::timestamptz[])
        AS newborn (id, kind, wake_at)
), stored AS (
    INSERT INTO journal (actor_id, seq, at, era, kind, version, body,
                         digest, principal, idempotency_key, request_digest)
    SELECT batch.actor_id, batch.seq, 'epoch'::timestamptz + batch.at_ms * interval '1 ms', $2,
           batch.kind, batch.version, batch.body, substr($9::bytea, place::int * 16 - 15, 16),
           coalesce(batch.principal, ''), nullif(batch.idempotency_key, ''),
           CASE WHEN batch.idempotency_key <> '' THEN substr($12::bytea, place::int * 16 - 15, 16) END
    FROM alive, unnest($3::text::bigint[], $4::text::bigint[], $5::text::bigint[],
                       string_to_array($6, E'\x1f'), $7::text::smallint[],
                       string_to_array($8, E'\x1f')::json[],
                       string_to_array($10, E'\x1f'), string_to_array($11, E'\x1f'))
        WITH ORDINALITY AS batch (actor_id, seq, at_ms, kind, version, body,
                                  principal, idempotency_key, place)
    RETURNING 1
)
SELECT (SELECT count(*) FROM stored) AS stored, found.*
FROM (VALUES (1)) AS always
LEFT JOIN (
    SELECT journal.actor_id, journal.seq, journal.at, journal.kind, journal.version, journal.body,
           journal.digest, journal.principal, journal.idempotency_key, journal.request_digest
    FROM unnest(string_to_array($15, E'\x1f'), string_to_array($16, E'\x1f'))
        AS asked (principal, idempotency_key)
    JOIN journal ON journal.idempotency_key = asked.idempotency_key
                AND journal.principal = coalesce(asked.principal, '')
) AS found ON true
