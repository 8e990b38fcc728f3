-- Add the attempts to pay that began.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO checkouts (actor_id, attempt, status, amount, currency, items, begun_at, changed_at,
                       changed)
SELECT actor_id, seq, 'capturing', (body ->> 'amount')::bigint, body ->> 'currency',
       body -> 'items', at, at, seq
FROM journal
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND kind = 'checkout_begun'
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
