-- Append a batch of rows, provided this incarnation has not been fenced.
-- FOR SHARE makes a concurrent take-over wait: without it the check is only a hint.
-- Fewer rows than the batch has means fenced.
-- $1 incarnation  $2 era
-- $3 actor ids  $4 seqs  $5 times, ms of Unix time  $6 kinds  $7 versions  $8 bodies  $9 digests;
-- arrays of one length
-- $10 principals  $11 idempotency keys  $12 request digests; of that length, too, or all empty
-- $13 ids of actors with a new wake-up time  $14 those times; two arrays of one length
WITH alive AS (
    SELECT 1 FROM workers WHERE incarnation = $1 AND NOT fenced FOR SHARE
), wakes AS (
    UPDATE actors SET wake_at = changed.wake_at
    FROM alive, unnest($13::bigint[], $14::timestamptz[]) AS changed (id, wake_at)
    WHERE actors.id = changed.id
)
INSERT INTO journal (actor_id, seq, at, era, kind, version, body,
                     digest, principal, idempotency_key, request_digest)
SELECT batch.actor_id, batch.seq, 'epoch'::timestamptz + batch.at_ms * interval '1 ms', $2, batch.kind, batch.version, batch.body,
       batch.digest, coalesce(batch.principal, ''), batch.idempotency_key, batch.request_digest
FROM alive, unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::smallint[],
                   $8::json[], $9::bytea[], $10::text[], $11::text[], $12::bytea[])
    AS batch (actor_id, seq, at_ms, kind, version, body,
              digest, principal, idempotency_key, request_digest)
