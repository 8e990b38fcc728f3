-- Add the stocks that were received, that were taken in from elsewhere, that were found, that a feed
-- named, and those of tickets: of an option that has any.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO stocks (actor_id, seq, quantity, available, on_hand, received_at, expires_at, lot,
                    reference, product, origin_actor_id, origin_seq, aside)
SELECT actor_id, seq, units, units, units,
       CASE WHEN moved THEN 'epoch'::timestamptz
                            + (lot ->> 'received_at_ms')::bigint * interval '1 ms' ELSE at END,
       'epoch'::timestamptz + (lot ->> 'expires_at_ms')::bigint * interval '1 ms',
       CASE WHEN moved THEN lot ->> 'code' ELSE lot ->> 'lot' END,
       lot ->> 'reference', body ->> 'product',
       CASE WHEN moved THEN (lot -> 'origin' ->> 0)::bigint END,
       CASE WHEN moved THEN (lot -> 'origin' ->> 1)::bigint END, '{}'
FROM journal
CROSS JOIN LATERAL (
    SELECT kind = 'units_taken' AS moved,
           CASE WHEN kind = 'units_taken' THEN body -> 'lot' ELSE body END AS lot
) AS came
CROSS JOIN LATERAL (
    SELECT coalesce(lot ->> 'quantity', lot ->> 'allocation')::bigint AS units
) AS arrived
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND (kind IN ('stock_received', 'units_taken') OR kind = 'ticket_option_opened' AND units <> 0)
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
UNION ALL
SELECT actor_id, seq, units, CASE WHEN state = 'available' THEN units ELSE 0 END, units, at, NULL,
       NULL, NULL, body ->> 'product', NULL, NULL,
       CASE WHEN state IN ('available', 'expired') THEN '{}'
            ELSE jsonb_build_object(state, units) END
FROM journal
CROSS JOIN LATERAL (
    SELECT change ->> 2 AS state, (change ->> 3)::bigint AS units
    FROM json_array_elements(body -> 'changes') AS change WHERE (change ->> 0)::bigint = seq
) AS found
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND kind = 'units_adjusted'
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
UNION ALL
SELECT actor_id, seq, units, units, units,
       coalesce('epoch'::timestamptz + (body ->> 'received_at_ms')::bigint * interval '1 ms', at),
       'epoch'::timestamptz + (body ->> 'expires_at_ms')::bigint * interval '1 ms',
       body ->> 'code', NULL, NULL, NULL, NULL, '{}'
FROM journal
CROSS JOIN LATERAL (SELECT (body ->> 'opened')::bigint AS units) AS opened
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND kind = 'lot_reconciled' AND units > 0
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
