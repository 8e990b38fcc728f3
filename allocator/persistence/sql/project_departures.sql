-- Let units of orders of one line leave while others stay. Which of those have ended since is told
-- after this.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH parts AS (
    SELECT actor_id, (body ->> 'order')::bigint AS seq, min((body ->> 'left')::bigint) AS units
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind = 'order_partly_dispatched'
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    GROUP BY 1, 2
)
UPDATE orders SET status = 'partly_dispatched', dispatched = orders.quantity - parts.units
FROM parts WHERE orders.actor_id = parts.actor_id AND orders.seq = parts.seq
