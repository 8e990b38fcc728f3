-- Store how far a delivery has come; no row if it is another's by now, or nobody's.
-- $1 name  $2 life  $3 position  $4 how many were taken since  $5 when the last of them
UPDATE webhook_deliveries
SET position = $3, attempts = 0, retry_at = NULL, delivered = delivered + $4,
    delivered_at = coalesce($5, delivered_at)
WHERE name = $1 AND life = $2
RETURNING 1
