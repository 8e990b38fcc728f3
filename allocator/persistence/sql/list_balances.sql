-- List balances by actor; not those of which nobody knows the product, as nothing ever came.
-- $1 actor id after which to begin  $2 unused  $3 how many at most
-- $4 warehouse  $5 product; each NULL for any
SELECT balances.actor_id, pools.warehouse, coalesce(balances.product, pools.product) AS product,
       balances.version, balances.available, balances.ordered, balances.held, balances.expired
FROM balances JOIN pools USING (actor_id)
WHERE balances.actor_id > $1 AND $2::bigint IS NOT NULL
  AND ($4::text IS NULL OR pools.warehouse = $4)
  AND ($5::text IS NULL OR (pools.product = $5 OR pools.product IS NULL)
                           AND coalesce(balances.product, pools.product) = $5)
  AND (pools.product IS NOT NULL OR balances.product IS NOT NULL)
ORDER BY balances.actor_id
LIMIT $3
