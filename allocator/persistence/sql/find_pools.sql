-- Return the pools of products at a warehouse, those that there are.
-- $1 warehouse  $2 skus
SELECT product, actor_id FROM pools WHERE warehouse = $1 AND product = ANY ($2::text[])
