-- Take from the stocks what was ordered, held, dispatched, expired or sent elsewhere, give back what
-- was cancelled or let go, and do what was adjusted, or what a feed said. What was held was taken when
-- it was. Of what came back, units that stand for missing ones are gone (`missing`).
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH batch AS (
    SELECT actor_id, seq, kind, body
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('order_placed', 'order_dispatched', 'order_cancelled', 'lot_expired',
                   'units_sent', 'order_partly_dispatched', 'units_held', 'process_let_go',
                   'hold_confirmed', 'units_adjusted', 'units_recalled', 'order_repicked',
                   'lot_reconciled', 'units_taken')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
), changes AS (
    SELECT actor_id, (change ->> 0)::bigint AS lot, change ->> 1 AS source, change ->> 2 AS target,
           (change ->> 3)::bigint AS units
    FROM batch, json_array_elements(body -> 'changes') AS change
    WHERE kind = 'units_adjusted' AND (change ->> 0)::bigint <> seq
    UNION ALL
    SELECT actor_id, lot, CASE WHEN units < 0 THEN 'available' END,
           CASE WHEN units > 0 THEN 'available' END, abs(units)
    FROM batch, json_array_elements(body -> 'changes') AS change
    CROSS JOIN LATERAL (
        SELECT (change ->> 0)::bigint, (change ->> 1)::bigint
    ) AS said (lot, units)
    WHERE kind = 'lot_reconciled'
    UNION ALL
    SELECT actor_id, (pick ->> 0)::bigint, 'expired', NULL, (pick ->> 1)::bigint
    FROM batch, json_array_elements(body -> 'expired') AS pick
    WHERE kind = 'lot_reconciled'
), states AS (
    SELECT actor_id, lot,
           jsonb_object_agg(state, units)
               FILTER (WHERE state NOT IN ('available', 'expired', '', '?')) AS aside,
           sum(units) FILTER (WHERE state = '') AS found,
           sum(units) FILTER (WHERE state = '?') AS recalled
    FROM (
        SELECT actor_id, lot, state, sum(units)::bigint AS units
        FROM (
            SELECT actor_id, lot, source, -units FROM changes WHERE source IS NOT NULL
            UNION ALL SELECT actor_id, lot, target, units FROM changes WHERE target IS NOT NULL
            UNION ALL SELECT actor_id, lot, '', units FROM changes WHERE source IS NULL
            UNION ALL
            SELECT actor_id, (recall ->> 0)::bigint, '?', (recall ->> 2)::bigint
            FROM batch, json_array_elements(body -> 'recalled') AS recall
            WHERE kind = 'units_adjusted'
            UNION ALL
            SELECT actor_id, (body ->> 'lot')::bigint, '?', -(body ->> 'quantity')::bigint
            FROM batch WHERE kind = 'units_recalled'
            UNION ALL
            SELECT actor_id, (body ->> 'lot')::bigint, body ->> 'state',
                   (body ->> 'quantity')::bigint
            FROM batch WHERE kind = 'units_recalled'
        ) AS each (actor_id, lot, state, units)
        GROUP BY 1, 2, 3
    ) AS summed
    GROUP BY 1, 2
), units AS (
    SELECT actor_id, kind, (pick ->> 0)::bigint AS lot, (pick ->> 1)::bigint AS units
    FROM batch, json_array_elements(body -> 'picks') AS pick
    WHERE kind IN ('order_placed', 'order_dispatched', 'order_cancelled',
                   'order_partly_dispatched', 'process_let_go')
       OR kind = 'hold_confirmed' AND strpos(body::text, '"held":false') > 0
    UNION ALL
    SELECT actor_id, kind, (pick ->> 0)::bigint, (pick ->> 1)::bigint
    FROM batch, json_array_elements(body -> 'added') AS pick
    WHERE kind IN ('units_held', 'order_repicked')
    UNION ALL
    SELECT actor_id, 'process_let_go', (pick ->> 0)::bigint, (pick ->> 1)::bigint
    FROM batch, json_array_elements(body -> 'returned') AS pick
    WHERE kind IN ('units_held', 'order_repicked')
    UNION ALL
    SELECT actor_id, kind, (body ->> 'lot')::bigint, (body ->> 'quantity')::bigint
    FROM batch WHERE kind IN ('lot_expired', 'units_recalled')
    UNION ALL
    SELECT actor_id, 'lot_expired', lot, units FROM changes WHERE source = 'available'
    UNION ALL
    SELECT actor_id, 'process_let_go', lot, units FROM changes WHERE target = 'available'
    UNION ALL
    SELECT actor_id, 'found', lot,
           CASE WHEN source IS NULL THEN units WHEN target IS NULL THEN -units ELSE 0 END
    FROM changes
    UNION ALL
    SELECT actor_id, 'found', (recall ->> 0)::bigint, 0
    FROM batch, json_array_elements(body -> 'recalled') AS recall
    WHERE kind = 'units_adjusted'
    UNION ALL
    SELECT actor_id, kind, (sent -> 'origin' ->> 1)::bigint, (sent ->> 'quantity')::bigint
    FROM batch, json_array_elements(body -> 'lots') AS sent
    WHERE kind = 'units_sent'
    UNION ALL
    SELECT actor_id, 'units_sent', (pick ->> 0)::bigint, (pick ->> 1)::bigint
    FROM batch, json_array_elements(body -> 'missing') AS pick
    WHERE kind <> 'order_placed' AND strpos(body::text, '"missing":') > 0
), sums AS (
    SELECT actor_id, lot,
           sum(CASE kind WHEN 'order_dispatched' THEN 0
                         WHEN 'order_partly_dispatched' THEN 0
                         WHEN 'order_cancelled' THEN units
                         WHEN 'process_let_go' THEN units
                         WHEN 'found' THEN 0 ELSE -units END) AS available,
           sum(CASE kind WHEN 'order_dispatched' THEN -units
                         WHEN 'order_partly_dispatched' THEN -units
                         WHEN 'units_sent' THEN -units
                         WHEN 'found' THEN units ELSE 0 END) AS on_hand
    FROM units GROUP BY actor_id, lot
)
UPDATE stocks SET available = stocks.available + sums.available,
                  on_hand = stocks.on_hand + sums.on_hand,
                  quantity = stocks.quantity + coalesce(states.found, 0),
                  recalled = stocks.recalled + coalesce(states.recalled, 0),
                  aside = CASE WHEN states.aside IS NULL THEN stocks.aside
                               ELSE states_after(stocks.aside, states.aside) END
FROM sums LEFT JOIN states USING (actor_id, lot)
WHERE stocks.actor_id = sums.actor_id AND stocks.seq = sums.lot
