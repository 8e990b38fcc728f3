-- Add what happened to carts. Returns how many events that was. A version that does not follow is
-- refused, as in `project_moves`. What became of one that was paid for happens to its order, too.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH batch AS (
    SELECT actor_id, seq, at, kind, body
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('cart_opened', 'line_wanted', 'line_held', 'line_refused', 'cart_closed',
                   'cart_expired', 'cart_ended', 'checkout_begun', 'checkout_paid',
                   'checkout_failed', 'checkout_unknown', 'refund_due', 'lines_dispatched',
                   'lines_settled')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
), sums AS (
    SELECT actor_id,
           count(*) AS events,
           max(seq) AS version,
           max(at) FILTER (WHERE kind = 'cart_opened') AS opened_at,
           (array_agg(body) FILTER (WHERE kind = 'cart_opened'))[1] AS opened,
           max(at) FILTER (WHERE kind IN ('cart_opened', 'line_wanted')) AS touched_at,
           max(at) FILTER (WHERE kind = 'checkout_failed') AS failed_at,
           CASE WHEN bool_or(kind = 'checkout_paid') THEN 'paid'
                WHEN bool_or(kind = 'cart_closed') THEN 'closed'
                WHEN bool_or(kind = 'cart_expired') THEN 'expired' END AS status,
           bool_or(kind NOT IN ('lines_dispatched', 'lines_settled')) AS is_cart
    FROM batch GROUP BY actor_id
), known AS (
    UPDATE carts SET
        version = CASE WHEN sums.version = carts.version + sums.events THEN sums.version END,
        status = coalesce(sums.status, carts.status),
        expires_at = greatest(carts.expires_at,
                              CASE WHEN sums.touched_at IS NOT NULL
                                   THEN least(sums.touched_at + carts.ttl,
                                              carts.opened_at + carts.cap) END,
                              sums.failed_at + interval '120 seconds')
    FROM sums WHERE carts.actor_id = sums.actor_id
    RETURNING carts.actor_id, sums.events
), begun AS (
    INSERT INTO carts (actor_id, version, customer, status, opened_at, expires_at, ttl, cap)
    SELECT actor_id, CASE WHEN version = events THEN version END, opened ->> 'customer',
           coalesce(status, 'open'), opened_at,
           greatest(opened_at + least(ttl, cap), least(touched_at + ttl, opened_at + cap),
                    failed_at + interval '120 seconds'),
           ttl, cap
    FROM sums, LATERAL (
        SELECT (opened ->> 'ttl_ms')::bigint * interval '1 millisecond' AS ttl,
               (opened ->> 'cap_ms')::bigint * interval '1 millisecond' AS cap) AS terms
    WHERE is_cart AND actor_id NOT IN (SELECT actor_id FROM known)
    RETURNING carts.actor_id, carts.version AS events
)
SELECT (SELECT coalesce(sum(events), 0) FROM known)::bigint
     + (SELECT coalesce(sum(events), 0) FROM begun)::bigint
