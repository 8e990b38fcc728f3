-- Make the actor of a pool, if both its warehouse and its product are known and it is new.
-- A location that holds one product at a time has one pool, of whichever.
-- $1 warehouse  $2 product  $3 the key of their actor  $4 its shard
-- $5 the key of the actor of such a location  $6 its shard
WITH known AS (
    SELECT single_product FROM warehouses, products
    WHERE warehouses.code = $1 AND products.sku = $2
), made AS (
    INSERT INTO actors (id, kind, key)
    SELECT nextval('actor_numbers') << 8 | CASE WHEN single_product THEN $6::bigint ELSE $4 END,
           'pool', CASE WHEN single_product THEN $5 ELSE $3 END
    FROM known
    ON CONFLICT (key) DO NOTHING
    RETURNING id
)
INSERT INTO pools (actor_id, warehouse, product)
SELECT made.id, $1, CASE WHEN NOT single_product THEN $2 END FROM made, known
RETURNING actor_id, product IS NULL AS single_product
