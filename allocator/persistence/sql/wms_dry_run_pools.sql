-- Return pools of a warehouse and their products, in order.
-- $1 warehouse  $2 after which actor  $3 how many at most
SELECT actor_id, product FROM pools
WHERE warehouse = $1 AND product IS NOT NULL AND actor_id > $2
ORDER BY actor_id LIMIT $3
