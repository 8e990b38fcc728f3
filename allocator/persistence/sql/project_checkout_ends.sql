-- Say what became of attempts to pay: what was heard last.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH heard AS (
    SELECT DISTINCT ON (actor_id, attempt) actor_id, attempt, seq, at,
           CASE kind WHEN 'refund_due' THEN kind ELSE substr(kind, 10) END AS status
    FROM journal, LATERAL (SELECT (body ->> 'attempt')::bigint AS attempt) AS named
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('checkout_paid', 'checkout_failed', 'checkout_unknown', 'refund_due')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    ORDER BY actor_id, attempt, seq DESC
)
UPDATE checkouts SET status = heard.status, changed_at = heard.at, changed = heard.seq
FROM heard WHERE checkouts.actor_id = heard.actor_id AND checkouts.attempt = heard.attempt
