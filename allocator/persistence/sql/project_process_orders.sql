-- Add what happened to orders of several lines, whose lines are up to date, but for those that were
-- carts before, which `project_cart_orders` adds. Returns how many events that was. A version that
-- does not follow is refused, as in `project_moves`.
-- The first row says when it was asked for. If that has decided it as well, the pools have settled it.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH sums AS (
    SELECT actor_id,
           count(*) AS events,
           max(seq) AS version,
           max(at) FILTER (WHERE seq = 1) AS requested_at,
           max(CASE WHEN strpos(body::text, '"customer":') > 0 THEN body ->> 'customer' END)
               FILTER (WHERE seq = 1) AS customer,
           CASE WHEN bool_or(kind = 'lines_cancelled') THEN 'cancelled'
                WHEN bool_or(kind = 'lines_dispatched') THEN 'dispatched'
                WHEN bool_or(kind = 'order_declined') THEN 'declined'
                WHEN bool_or(kind = 'order_accepted') THEN 'new'
                WHEN bool_or(kind = 'order_requested') THEN 'requested' END AS status,
           max(at) FILTER (WHERE kind IN ('lines_cancelled', 'lines_dispatched')) AS changed_at,
           count(*) FILTER (WHERE kind = 'lines_settled'
                               OR kind = 'order_accepted' AND seq = 1) AS settled,
           max(seq) FILTER (WHERE kind = 'lines_settled' OR kind <> 'order_requested' AND seq = 1)
               IS NOT DISTINCT FROM max(seq) AS at_rest
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('order_requested', 'order_accepted', 'order_declined', 'lines_dispatched',
                   'lines_cancelled', 'lines_settled')
      AND NOT EXISTS (SELECT FROM carts WHERE carts.actor_id = journal.actor_id)
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    GROUP BY actor_id
), changes AS (
    SELECT sums.actor_id, events, requested_at, at_rest,
           coalesce(process_orders.customer, sums.customer) AS customer,
           process_orders.actor_id IS NULL AS is_new,
           coalesce(process_orders.confirmed, false) AS was_confirmed, sums.settled,
           CASE WHEN sums.version = coalesce(process_orders.version, 0) + events
                THEN sums.version END AS version,
           CASE WHEN sums.status = 'dispatched' AND EXISTS (
                    SELECT FROM process_order_lines AS lines
                    WHERE lines.actor_id = sums.actor_id AND lines.dispatched < lines.quantity)
                THEN 'partly_dispatched'
                ELSE coalesce(sums.status, process_orders.status) END AS status,
           coalesce(sums.changed_at, process_orders.closed_at) AS changed_at
    FROM sums LEFT JOIN process_orders USING (actor_id)
), stands AS (
    SELECT actor_id, version, customer, status, requested_at, is_new,
           was_confirmed OR settled > 0 AND status <> 'declined' AS confirmed,
           CASE WHEN status IN ('dispatched', 'cancelled') THEN changed_at END AS closed_at,
           at_rest AND (status = 'declined'
                        OR status IN ('dispatched', 'cancelled')
                           AND (was_confirmed OR settled > 1)) AS ended
    FROM changes
), known AS (
    UPDATE process_orders SET
        version = stands.version, status = stands.status, closed_at = stands.closed_at,
        confirmed = stands.confirmed, ended = stands.ended
    FROM stands WHERE process_orders.actor_id = stands.actor_id
), begun AS (
    INSERT INTO process_orders (actor_id, seq, version, status, customer, created_at, closed_at,
                                confirmed, ended)
    SELECT actor_id, 1, version, status, customer, requested_at, closed_at, confirmed, ended
    FROM stands WHERE is_new
)
SELECT coalesce(sum(events), 0)::bigint FROM sums
