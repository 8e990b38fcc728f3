-- Enable a webhook that is what it was.
-- $1 name
UPDATE webhook_deliveries SET enabled = true, attempts = 0, retry_at = NULL
WHERE name = $1 AND NOT enabled
