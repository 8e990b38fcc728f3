-- Add the stocks that were received.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO stocks (actor_id, seq, quantity, available, on_hand, received_at, expires_at, lot,
                    reference)
SELECT actor_id, seq, (body ->> 'quantity')::bigint, (body ->> 'quantity')::bigint,
       (body ->> 'quantity')::bigint, at,
       'epoch'::timestamptz + (body ->> 'expires_at_ms')::bigint * interval '1 ms',
       body ->> 'lot', body ->> 'reference'
FROM journal
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND kind = 'stock_received'
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
