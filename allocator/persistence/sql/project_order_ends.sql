-- Close the orders that were dispatched or cancelled. Those of several lines are not among them: their
-- processes say what becomes of those.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH ends AS (
    SELECT actor_id, at, (body ->> 'order')::bigint AS seq,
           CASE kind WHEN 'order_dispatched' THEN 'dispatched' ELSE 'cancelled' END AS status
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('order_dispatched', 'order_cancelled')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
)
UPDATE orders SET status = ends.status, closed_at = ends.at
FROM ends WHERE orders.actor_id = ends.actor_id AND orders.seq = ends.seq
