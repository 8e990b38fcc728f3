-- Say whether a webhook is what it was, and wants to be told; no row if not.
-- $1 name  $2 life
SELECT 1 FROM webhook_deliveries WHERE name = $1 AND life = $2 AND enabled
