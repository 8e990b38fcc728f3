-- Note which orders got units of other lots.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO repicks (actor_id, seq, order_seq, returned, added)
SELECT actor_id, seq, (body ->> 'order')::bigint, body -> 'returned', body -> 'added'
FROM journal
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND kind = 'order_repicked'
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
