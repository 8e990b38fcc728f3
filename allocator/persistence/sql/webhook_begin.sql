-- Enable the delivery of a webhook, in the transaction that changes it. One that is new begins
-- behind this very change; another goes on where it was. Whoever delivers for what it was before
-- can store nothing from now on.
-- $1 name  $2 version of the webhook  $3 present era  $4 actor id
INSERT INTO webhook_deliveries (name, life, position)
VALUES ($1, $2::bigint, concat_ws('.', $3::int, pg_current_xact_id(), $4::bigint, $2::bigint))
ON CONFLICT (name) DO UPDATE
SET life = excluded.life, enabled = true, attempts = 0, retry_at = NULL
