-- Remove what is said of orders of several lines.
-- $1 actor ids
WITH gone AS (
    DELETE FROM process_order_lines WHERE actor_id = ANY ($1::bigint[])
)
DELETE FROM process_orders WHERE actor_id = ANY ($1::bigint[])
