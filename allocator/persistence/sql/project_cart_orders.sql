-- Add what happened to the orders that carts have become, whose lines and carts are up to date.
-- To owe money back for another attempt counts up its version, and changes nothing else.
-- Returns 0: `project_carts` has counted the events, and seen that none is missing.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH sums AS (
    SELECT journal.actor_id,
           max(journal.seq) AS version,
           max(journal.seq) FILTER (WHERE kind = 'checkout_paid') AS paid,
           max(at) FILTER (WHERE kind = 'checkout_paid') AS paid_at,
           max(at) FILTER (WHERE kind = 'lines_dispatched') AS dispatched_at,
           count(*) FILTER (WHERE kind = 'lines_settled') AS settled,
           max(journal.seq) FILTER (WHERE kind = 'lines_settled') AS settled_by,
           max(journal.seq) FILTER (WHERE kind <> 'refund_due') AS moved_by
    FROM journal JOIN carts USING (actor_id)
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND carts.status = 'paid'
      AND kind IN ('checkout_paid', 'lines_dispatched', 'lines_settled', 'refund_due')
      AND ($4::bigint IS NULL OR journal.actor_id = $4)
      AND journal.actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    GROUP BY journal.actor_id
), changes AS (
    SELECT sums.actor_id, sums.version, paid, paid_at, settled, settled_by, moved_by, carts.customer,
           coalesce(process_orders.ended, false) AS was_ended,
           coalesce(process_orders.confirmed, false) AS was_confirmed,
           coalesce(sums.dispatched_at, process_orders.closed_at) AS dispatched_at,
           CASE WHEN sums.dispatched_at IS NULL THEN coalesce(process_orders.status, 'new')
                WHEN EXISTS (SELECT FROM process_order_lines AS lines
                             WHERE lines.actor_id = sums.actor_id
                               AND lines.dispatched < lines.quantity)
                THEN 'partly_dispatched' ELSE 'dispatched' END AS status
    FROM sums JOIN carts USING (actor_id) LEFT JOIN process_orders USING (actor_id)
), stands AS (
    SELECT *, was_confirmed OR settled > 0 AS confirmed,
           CASE WHEN status = 'dispatched' THEN dispatched_at END AS closed_at,
           CASE WHEN moved_by IS NULL THEN was_ended
                ELSE settled_by IS NOT DISTINCT FROM moved_by AND status = 'dispatched'
                     AND (was_confirmed OR settled > 1) END AS ended
    FROM changes
), known AS (
    UPDATE process_orders SET
        version = stands.version, status = stands.status, closed_at = stands.closed_at,
        confirmed = stands.confirmed, ended = stands.ended
    FROM stands WHERE process_orders.actor_id = stands.actor_id
), begun AS (
    INSERT INTO process_orders (actor_id, seq, version, status, customer, created_at, closed_at,
                                confirmed, ended)
    SELECT actor_id, paid, version, status, customer, paid_at, closed_at, confirmed, ended
    FROM stands WHERE paid IS NOT NULL
)
SELECT 0::bigint
