-- Store that an attempt was in vain; no row if the delivery is another's by now, or nobody's.
-- $1 name  $2 life  $3 position before the message  $4 attempts  $5 when to try again
-- $6 error  $7 now  $8 whether to go on at all
UPDATE webhook_deliveries
SET position = $3, attempts = $4, retry_at = $5, failed = failed + 1, last_error = $6,
    last_error_at = $7, enabled = enabled AND $8
WHERE name = $1 AND life = $2
RETURNING 1
