-- Add the stocks that were received, and those of tickets: of an option that has any.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO stocks (actor_id, seq, quantity, available, on_hand, received_at, expires_at, lot,
                    reference)
SELECT actor_id, seq, units, units, units, at,
       'epoch'::timestamptz + (body ->> 'expires_at_ms')::bigint * interval '1 ms',
       body ->> 'lot', body ->> 'reference'
FROM journal
CROSS JOIN LATERAL (
    SELECT coalesce(body ->> 'quantity', body ->> 'allocation')::bigint AS units
) AS arrived
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND (kind = 'stock_received' OR kind = 'ticket_option_opened' AND units <> 0)
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
