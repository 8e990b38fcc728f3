-- List balances by actor; not those of which nobody knows the product, as nothing ever came. Those of
-- a product are pools of it, and locations of which it was the last one.
-- $1 actor id after which to begin  $2 unused  $3 how many at most
-- $4 warehouse  $5 product; each NULL for any
SELECT balances.actor_id, pools.warehouse, coalesce(balances.product, pools.product) AS product,
       balances.version, balances.available, balances.ordered, balances.held, balances.expired,
       balances.aside
FROM balances JOIN pools USING (actor_id)
WHERE balances.actor_id > $1 AND $2::bigint IS NOT NULL
  AND ($4::text IS NULL OR pools.warehouse = $4)
  AND ($5::text IS NULL OR balances.actor_id = ANY (ARRAY(
          SELECT actor_id FROM pools WHERE product = $5
          UNION ALL SELECT actor_id FROM balances WHERE product = $5)))
  AND (pools.product IS NOT NULL OR balances.product IS NOT NULL)
ORDER BY balances.actor_id
LIMIT $3
