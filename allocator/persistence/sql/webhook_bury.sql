-- Make a message a dead letter, and go on behind it; no row if the delivery is another's by now, or
-- nobody's.
-- $1 name  $2 life  $3 position of the message  $4 kind  $5 body  $6 attempts  $7 error  $8 now
WITH ours AS (
    UPDATE webhook_deliveries
    SET position = $3, attempts = 0, retry_at = NULL, failed = failed + 1, last_error = $7,
        last_error_at = $8
    WHERE name = $1 AND life = $2
    RETURNING name
)
INSERT INTO webhook_dead_letters (name, position, kind, body, attempts, error, died_at)
SELECT name, $3, $4, $5, $6, $7, $8 FROM ours
ON CONFLICT (name, position) DO UPDATE
SET attempts = excluded.attempts, error = excluded.error, died_at = excluded.died_at, again = false
RETURNING 1
