-- Add the orders that were placed.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO orders (actor_id, seq, quantity, created_at, status, customer, picks, product)
SELECT actor_id, seq, (body ->> 'quantity')::bigint, at, 'new', body ->> 'customer',
       body -> 'picks',
       CASE WHEN strpos(body::text, '"product":') > 0 THEN body ->> 'product' END
FROM journal
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND kind = 'order_placed'
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
