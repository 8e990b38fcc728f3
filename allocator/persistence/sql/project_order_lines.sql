-- Add the lines of the orders that were accepted: what was wanted is in the first row of each, which
-- may be the same one.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO process_order_lines (actor_id, line, pool, pool_order, warehouse, product, quantity,
                                 picks)
SELECT accepted.actor_id, line.place - 1, line.pool, line."order", line.warehouse, line.product,
       line.quantity, line.picks
FROM journal AS accepted
JOIN journal AS requested ON requested.actor_id = accepted.actor_id AND requested.seq = 1
CROSS JOIN ROWS FROM (
    json_to_recordset(requested.body -> 'lines')
        AS (pool bigint, warehouse text, product text, quantity bigint),
    json_to_recordset(accepted.body -> 'held') AS ("order" bigint, picks json)
) WITH ORDINALITY AS line (pool, warehouse, product, quantity, "order", picks, place)
WHERE accepted.era = $1 AND accepted.xid > $2 AND accepted.xid <= $3
  AND accepted.kind = 'order_accepted'
  AND ($4::bigint IS NULL OR accepted.actor_id = $4)
  AND accepted.actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
