-- Find the pool of a place and a product that are known, if it was used before.
-- A location that holds one product at a time has one pool, of whichever.
-- $1 warehouse  $2 product; '' for the one of such a location, of whichever
SELECT actor_id, false AS single_product FROM pools WHERE warehouse = $1 AND product = $2
UNION ALL
SELECT actor_id, true FROM pools
WHERE warehouse = $1 AND product IS NULL
  AND ($2 = '' OR EXISTS (SELECT FROM products WHERE sku = $2))
