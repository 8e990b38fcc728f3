-- Which pools there were at a cut: those of names that were known, used or not. That of a location that
-- holds one product at a time is of no product.
-- $1 era and $2 xid of the cut
SELECT pools.actor_id, pools.warehouse, pools.product
FROM pools
JOIN warehouses ON warehouses.code = pools.warehouse
LEFT JOIN products ON products.sku = pools.product
WHERE (SELECT (era, xid) < ($1::int, $2::text::xid8) FROM journal
       WHERE actor_id = warehouses.actor_id AND seq = 1)
  AND (products.sku IS NULL
       OR (SELECT (era, xid) < ($1::int, $2::text::xid8) FROM journal
           WHERE actor_id = products.actor_id AND seq = 1))
