-- Enable the delivery of a webhook, in the transaction that changes it. One that is new begins behind
-- the newest row that is settled, so that nothing is left out that is committed after it; what was
-- committed a moment before, and is not settled yet, is told as well. Another goes on where it was.
-- Whoever delivers for what it was before can store nothing from now on.
-- $1 name  $2 version of the webhook  $3 present era
INSERT INTO webhook_deliveries (name, life, position)
VALUES ($1, $2, coalesce(
    (SELECT concat_ws('.', era, xid, actor_id, seq) FROM journal
     WHERE (era, xid) < ($3::int, pg_snapshot_xmin(pg_current_snapshot()))
     ORDER BY era DESC, xid DESC, actor_id DESC, seq DESC LIMIT 1),
    '0.0.0.0'
))
ON CONFLICT (name) DO UPDATE
SET life = excluded.life, enabled = true, attempts = 0, retry_at = NULL
