-- Look back along the tail: like `tail`, but from a position towards the beginning, newest first,
-- and only where the rows stand.
-- $1 era  $2 xid  $3 actor id  $4 seq before which to begin; NULLs for the newest settled row
-- $5 present era  $6 how many rows to look at
-- $7 warehouse  $8 product  $9 kinds; each NULL for any
WITH looked_at AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY era DESC, xid DESC, actor_id DESC, seq DESC) AS place,
           ($7::text IS NULL AND $8::text IS NULL OR actor_id IN (
               SELECT actor_id FROM pools
               WHERE ($7 IS NULL OR warehouse = $7) AND ($8 IS NULL OR product = $8)
               UNION ALL
               SELECT actor_id FROM warehouses WHERE code = $7 AND $8 IS NULL
               UNION ALL
               SELECT actor_id FROM products WHERE sku = $8 AND $7 IS NULL)
               OR (kind = 'move_requested' AND $7 IS NULL
                   OR actor_id IN (
                       SELECT actor_id FROM pools
                       WHERE product IS NULL AND ($7 IS NULL OR warehouse = $7)))
                  AND body ->> 'product' = $8)
           AND ($9::text[] IS NULL OR kind = ANY ($9)) AS wanted,
           era, xid, actor_id, seq
    FROM journal
    WHERE ($1::int IS NULL
           OR (era, xid, actor_id, seq) < ($1, $2::text::xid8, $3::bigint, $4::bigint))
      AND (era, xid) < ($5::int, pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY era DESC, xid DESC, actor_id DESC, seq DESC
    LIMIT $6
)
SELECT wanted, era, xid, actor_id, seq
FROM looked_at
WHERE wanted OR place = (SELECT max(place) FROM looked_at)
ORDER BY place
