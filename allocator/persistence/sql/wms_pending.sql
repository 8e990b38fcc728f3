-- Return the first pushes above a number, in order.
-- $1 feed  $2 after which number  $3 how many at most
SELECT number, sku, at, lines FROM wms_pushes
WHERE feed = $1 AND number > $2
ORDER BY number LIMIT $3
