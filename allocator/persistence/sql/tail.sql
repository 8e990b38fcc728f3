-- Read the tail: rows in commit order, none of which can be joined by an earlier one any more.
-- It looks at some rows after a position, and returns those that are wanted, in order, and the last
-- one that it looked at, wanted or not: so far the reader has come.
-- All former eras are complete. Of the present one, what is below the oldest running transaction.
-- $1 era  $2 xid  $3 actor id  $4 seq after which to begin  $5 present era
-- $6 how many rows to look at
-- $7 warehouse  $8 product  $9 kinds  $10 the earliest time; each NULL for any
WITH looked_at AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY era, xid, actor_id, seq) AS place,
           CASE
               WHEN $7::text IS NULL AND $8::text IS NULL THEN true
               -- A warehouse may have a hundred thousand pools: no set of them is made at each look.
               WHEN $8 IS NULL THEN
                   $7 = (SELECT warehouse FROM pools WHERE pools.actor_id = journal.actor_id)
                   OR actor_id = (SELECT actor_id FROM warehouses WHERE code = $7)
               ELSE
                   actor_id IN (
                       SELECT actor_id FROM pools
                       WHERE product = $8 AND ($7 IS NULL OR warehouse = $7)
                       UNION ALL
                       SELECT actor_id FROM products WHERE sku = $8 AND $7 IS NULL)
                   OR (kind = 'move_requested' AND $7 IS NULL
                       OR actor_id IN (
                           SELECT actor_id FROM pools
                           WHERE product IS NULL AND ($7 IS NULL OR warehouse = $7)))
                      AND body ->> 'product' = $8
           END
           AND ($9::text[] IS NULL OR kind = ANY ($9))
           AND ($10::timestamptz IS NULL OR at >= $10) AS wanted,
           era, xid, actor_id, seq, at, kind, version, body, digest, principal, idempotency_key,
           request_digest
    FROM journal
    WHERE (era, xid, actor_id, seq) > ($1::int, $2::text::xid8, $3::bigint, $4::bigint)
      AND (era, xid) < ($5::int, pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY era, xid, actor_id, seq
    LIMIT $6
)
SELECT place, wanted, era, xid, actor_id, seq, at, kind, version, body, digest, principal,
       idempotency_key, request_digest
FROM looked_at
WHERE wanted OR place = (SELECT max(place) FROM looked_at)
ORDER BY place
