-- Add the lines of the orders that were accepted: what was wanted is in the first row of each, which
-- may be the same one.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO process_order_lines (actor_id, line, pool, pool_order, warehouse, product, quantity,
                                 picks)
SELECT accepted.actor_id, line.place - 1, (line.wanted ->> 'pool')::bigint,
       (held.by_pool ->> 'order')::bigint, line.wanted ->> 'warehouse', line.wanted ->> 'product',
       (line.wanted ->> 'quantity')::bigint, held.by_pool -> 'picks'
FROM journal AS accepted
JOIN journal AS requested ON requested.actor_id = accepted.actor_id AND requested.seq = 1
CROSS JOIN json_array_elements(requested.body -> 'lines') WITH ORDINALITY AS line (wanted, place)
JOIN json_array_elements(accepted.body -> 'held') WITH ORDINALITY AS held (by_pool, place)
    ON held.place = line.place
WHERE accepted.era = $1 AND accepted.xid > $2 AND accepted.xid <= $3
  AND accepted.kind = 'order_accepted'
  AND ($4::bigint IS NULL OR accepted.actor_id = $4)
  AND accepted.actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
