-- Add what happened to the balances. Returns how many events that was.
-- A version that does not follow from the former one and the number of events is a gap or a
-- repetition: it becomes NULL, which the table refuses.
-- What happens most stands first in each list of kinds.
-- Which product came last is asked only of rows that name one: most pools are of one for ever. The
-- greatest (seq, product) says it, written as a text.
-- Of what became available, units that stand for missing ones are gone (`missing`).
-- Units that are ordered for a process at once, without having been held, are as those of an order.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH adjusted AS (
    SELECT actor_id, seq, kind, body
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('units_adjusted', 'units_recalled', 'order_repicked', 'lot_reconciled',
                   'feed_attached', 'feed_detached', 'shortfall_changed')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
), states AS (
    SELECT actor_id, state, sum(units)::bigint AS units
    FROM (
        SELECT actor_id, change ->> 1, -(change ->> 3)::bigint
        FROM adjusted, json_array_elements(body -> 'changes') AS change
        WHERE kind = 'units_adjusted'
        UNION ALL
        SELECT actor_id, change ->> 2, (change ->> 3)::bigint
        FROM adjusted, json_array_elements(body -> 'changes') AS change
        WHERE kind = 'units_adjusted'
        UNION ALL
        SELECT actor_id, 'available', (change ->> 1)::bigint
        FROM adjusted, json_array_elements(body -> 'changes') AS change
        WHERE kind = 'lot_reconciled'
        UNION ALL
        SELECT actor_id, 'expired', -(pick ->> 1)::bigint
        FROM adjusted, json_array_elements(body -> 'expired') AS pick
        UNION ALL
        SELECT actor_id, 'available', (body ->> 'opened')::bigint
        FROM adjusted WHERE kind = 'lot_reconciled' AND body ->> 'opened' IS NOT NULL
        UNION ALL
        SELECT actor_id, 'available', -(body ->> 'quantity')::bigint
        FROM adjusted WHERE kind = 'units_recalled'
        UNION ALL
        SELECT actor_id, 'available', -(pick ->> 1)::bigint
        FROM adjusted, json_array_elements(body -> 'missing') AS pick
        UNION ALL
        SELECT actor_id, body ->> 'state', (body ->> 'quantity')::bigint
        FROM adjusted WHERE kind = 'units_recalled'
    ) AS each (actor_id, state, units)
    WHERE state IS NOT NULL
    GROUP BY 1, 2
), moved AS (
    SELECT actor_id,
           coalesce(sum(units) FILTER (WHERE state = 'available'), 0) AS available,
           coalesce(sum(units) FILTER (WHERE state = 'expired'), 0) AS expired,
           jsonb_object_agg(state, units)
               FILTER (WHERE state NOT IN ('available', 'expired') AND units <> 0) AS aside
    FROM states GROUP BY 1
), batch AS (
    SELECT actor_id, seq,
           CASE WHEN kind = 'hold_confirmed' AND strpos(body::text, '"held":false') > 0
                THEN 'order_placed' ELSE kind END AS kind,
           coalesce(body ->> 'quantity', body ->> 'allocation',
                    body -> 'lot' ->> 'quantity')::bigint AS quantity,
           CASE WHEN kind <> 'order_placed' AND strpos(body::text, '"missing":') > 0
                THEN (SELECT sum((pick ->> 1)::bigint)
                      FROM json_array_elements(body -> 'missing') AS pick) END AS missing,
           CASE WHEN strpos(body::text, '"product":') > 0
                THEN lpad(seq::text, 19, '0') || (body ->> 'product') END AS named
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('stock_received', 'order_placed', 'order_dispatched', 'order_cancelled',
                   'lot_expired', 'ticket_option_opened', 'product_expected', 'units_sent',
                   'send_refused', 'units_taken', 'process_let_go', 'hold_refused', 'hold_confirmed',
                   'order_partly_dispatched')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    UNION ALL
    SELECT actor_id, seq, kind, (
               SELECT coalesce(sum((pick ->> 1)::bigint), 0)
               FROM json_array_elements(body -> 'added') AS pick) - (
               SELECT coalesce(sum((pick ->> 1)::bigint), 0)
               FROM json_array_elements(body -> 'returned') AS pick), (
               SELECT sum((pick ->> 1)::bigint)
               FROM json_array_elements(body -> 'missing') AS pick),
           CASE WHEN body ->> 'product' IS NOT NULL
                THEN lpad(seq::text, 19, '0') || (body ->> 'product') END
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind = 'units_held'
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    UNION ALL
    SELECT actor_id, seq, kind, 0, NULL,
           CASE WHEN body ->> 'product' IS NOT NULL
                THEN lpad(seq::text, 19, '0') || (body ->> 'product') END
    FROM adjusted
), counted AS (
    SELECT actor_id,
           count(*) AS events,
           max(seq) AS version,
           sum(CASE kind WHEN 'order_placed' THEN -quantity
                         WHEN 'order_dispatched' THEN 0
                         WHEN 'stock_received' THEN quantity
                         WHEN 'ticket_option_opened' THEN quantity
                         WHEN 'units_taken' THEN quantity
                         WHEN 'units_sent' THEN -quantity
                         WHEN 'order_cancelled' THEN quantity
                         WHEN 'units_held' THEN -quantity
                         WHEN 'process_let_go' THEN coalesce(quantity, 0)
                         WHEN 'lot_expired' THEN -quantity ELSE 0 END
               - coalesce(missing, 0)) AS available,
           sum(CASE kind WHEN 'order_placed' THEN quantity
                         WHEN 'order_dispatched' THEN -quantity
                         WHEN 'order_cancelled' THEN -quantity
                         WHEN 'order_partly_dispatched' THEN -quantity
                         WHEN 'hold_confirmed' THEN quantity ELSE 0 END) AS ordered,
           sum(CASE kind WHEN 'order_placed' THEN 0
                         WHEN 'order_dispatched' THEN 0
                         WHEN 'units_held' THEN quantity
                         WHEN 'hold_confirmed' THEN -quantity
                         WHEN 'process_let_go' THEN coalesce(-quantity, 0) ELSE 0 END) AS held,
           sum(CASE kind WHEN 'lot_expired' THEN quantity ELSE 0 END) AS expired,
           substr(max(named COLLATE "C"), 20) AS product
    FROM batch GROUP BY actor_id
), sums AS (
    SELECT actor_id, events, version, counted.available + coalesce(moved.available, 0) AS available,
           ordered, held, counted.expired + coalesce(moved.expired, 0) AS expired, product, aside
    FROM counted LEFT JOIN moved USING (actor_id)
), known AS (
    UPDATE balances SET
        version = CASE WHEN sums.version = balances.version + sums.events THEN sums.version END,
        available = balances.available + sums.available,
        ordered = balances.ordered + sums.ordered,
        held = balances.held + sums.held,
        expired = balances.expired + sums.expired,
        product = coalesce(sums.product, balances.product),
        aside = CASE WHEN sums.aside IS NULL THEN balances.aside
                     ELSE states_after(balances.aside, sums.aside) END
    FROM sums WHERE balances.actor_id = sums.actor_id
    RETURNING balances.actor_id
), opened AS (
    INSERT INTO balances (actor_id, version, available, ordered, held, expired, product,
                          aside)
    SELECT actor_id, CASE WHEN version = events THEN version END, available, ordered, held,
           expired, product, coalesce(aside, '{}')
    FROM sums WHERE actor_id NOT IN (SELECT actor_id FROM known)
)
SELECT coalesce(sum(events), 0)::bigint FROM sums
