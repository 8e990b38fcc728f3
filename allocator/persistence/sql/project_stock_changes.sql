-- Take from the stocks what was ordered, held, dispatched, expired or sent elsewhere, and give back
-- what was cancelled or let go. What was held was taken when it was.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH batch AS (
    SELECT actor_id, kind, body
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('order_placed', 'order_dispatched', 'order_cancelled', 'lot_expired',
                   'units_sent', 'order_partly_dispatched', 'units_held', 'process_let_go',
                   'hold_confirmed')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
), units AS (
    SELECT actor_id, kind, (pick ->> 0)::bigint AS lot, (pick ->> 1)::bigint AS units
    FROM batch, json_array_elements(body -> 'picks') AS pick
    WHERE kind IN ('order_placed', 'order_dispatched', 'order_cancelled',
                   'order_partly_dispatched', 'process_let_go')
       OR kind = 'hold_confirmed' AND strpos(body::text, '"held":false') > 0
    UNION ALL
    SELECT actor_id, kind, (pick ->> 0)::bigint, (pick ->> 1)::bigint
    FROM batch, json_array_elements(body -> 'added') AS pick
    WHERE kind = 'units_held'
    UNION ALL
    SELECT actor_id, 'process_let_go', (pick ->> 0)::bigint, (pick ->> 1)::bigint
    FROM batch, json_array_elements(body -> 'returned') AS pick
    WHERE kind = 'units_held'
    UNION ALL
    SELECT actor_id, kind, (body ->> 'lot')::bigint, (body ->> 'quantity')::bigint
    FROM batch WHERE kind = 'lot_expired'
    UNION ALL
    SELECT actor_id, kind, (sent -> 'origin' ->> 1)::bigint, (sent ->> 'quantity')::bigint
    FROM batch, json_array_elements(body -> 'lots') AS sent
    WHERE kind = 'units_sent'
), sums AS (
    SELECT actor_id, lot,
           sum(CASE kind WHEN 'order_dispatched' THEN 0
                         WHEN 'order_partly_dispatched' THEN 0
                         WHEN 'order_cancelled' THEN units
                         WHEN 'process_let_go' THEN units ELSE -units END) AS available,
           sum(CASE kind WHEN 'order_dispatched' THEN -units
                         WHEN 'order_partly_dispatched' THEN -units
                         WHEN 'units_sent' THEN -units ELSE 0 END) AS on_hand
    FROM units GROUP BY actor_id, lot
)
UPDATE stocks SET available = stocks.available + sums.available,
                  on_hand = stocks.on_hand + sums.on_hand
FROM sums WHERE stocks.actor_id = sums.actor_id AND stocks.seq = sums.lot
