-- Make the actor of a pool, if both its warehouse and its product are known and it is new.
-- $1 warehouse  $2 product  $3 the actor's key  $4 its shard
WITH known AS (
    SELECT 1 FROM warehouses, products WHERE warehouses.code = $1 AND products.sku = $2
), made AS (
    INSERT INTO actors (id, kind, key)
    SELECT nextval('actor_numbers') << 8 | $4, 'pool', $3 FROM known
    ON CONFLICT (key) DO NOTHING
    RETURNING id
)
INSERT INTO pools (actor_id, warehouse, product) SELECT made.id, $1, $2 FROM made
RETURNING actor_id
