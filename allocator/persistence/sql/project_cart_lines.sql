-- Add the lines of the carts that were paid for: what is bought is in the row that began the attempt.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO process_order_lines (actor_id, line, pool, pool_order, warehouse, product, quantity,
                                 picks)
SELECT paid.actor_id, item.place - 1, (item.bought ->> 'pool')::bigint,
       (held.by_pool ->> 'order')::bigint, item.bought ->> 'warehouse', item.bought ->> 'product',
       (item.bought ->> 'quantity')::bigint, held.by_pool -> 'picks'
FROM journal AS paid
JOIN journal AS begun ON begun.actor_id = paid.actor_id
                     AND begun.seq = (paid.body ->> 'attempt')::bigint
CROSS JOIN json_array_elements(begun.body -> 'items') WITH ORDINALITY AS item (bought, place)
JOIN json_array_elements(paid.body -> 'held') WITH ORDINALITY AS held (by_pool, place)
    ON held.place = item.place
WHERE paid.era = $1 AND paid.xid > $2 AND paid.xid <= $3
  AND paid.kind = 'checkout_paid'
  AND ($4::bigint IS NULL OR paid.actor_id = $4)
  AND paid.actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
