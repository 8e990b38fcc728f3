-- Make the pools of products at a warehouse, those whose product is known and that are new; none at a
-- location of one product, which has one pool only.
-- Each product is looked up: or all that there are would be read, to find those that are asked for.
-- $1 warehouse  $2 products, none twice  $3 the actors that they are to be  $4 the keys of these
WITH known AS (
    SELECT item.product, item.actor_id, item.key
    FROM unnest($2::text[], $3::bigint[], $4::text[]) AS item (product, actor_id, key)
    CROSS JOIN LATERAL (SELECT FROM products WHERE products.sku = item.product LIMIT 1) AS named
    WHERE EXISTS (SELECT FROM warehouses WHERE code = $1 AND NOT single_product)
), made AS (
    INSERT INTO actors (id, kind, key)
    SELECT actor_id, 'pool', key FROM known ORDER BY key  -- in one order: two of us do not block
    ON CONFLICT (key) DO NOTHING
    RETURNING id
)
INSERT INTO pools (actor_id, warehouse, product)
SELECT known.actor_id, $1, known.product FROM made JOIN known ON known.actor_id = made.id
RETURNING product, actor_id
