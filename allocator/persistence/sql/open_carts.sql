-- Return which carts of a customer are known to be open, and of some which are known at all.
-- $1 customer  $2 actor ids  $3 how many at most
(SELECT actor_id, true AS is_open FROM carts WHERE customer = $1 AND status = 'open' LIMIT $3)
UNION ALL
SELECT actor_id, false FROM carts WHERE actor_id = ANY ($2::bigint[]) AND status <> 'open'
