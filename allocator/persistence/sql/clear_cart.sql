-- Remove what is said of a cart, but for the order that it has become.
-- $1 actor id
WITH gone AS (
    DELETE FROM checkouts WHERE actor_id = $1
)
DELETE FROM carts WHERE actor_id = $1
