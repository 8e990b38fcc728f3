-- Add lines of orders.
-- $1 actor ids  $2 places  $3 pools  $4 numbers in these  $5 warehouses  $6 products  $7 quantities
-- $8 units that have left  $9 picks; arrays of one length
INSERT INTO process_order_lines (actor_id, line, pool, pool_order, warehouse, product, quantity,
                                 dispatched, picks)
SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::text[],
                     $6::text[], $7::bigint[], $8::bigint[], $9::text[]::json[])
