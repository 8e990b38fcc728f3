-- Store that a dead letter was taken after all.
-- $1 name  $2 position  $3 now
WITH taken AS (
    DELETE FROM webhook_dead_letters WHERE name = $1 AND position = $2 RETURNING name
)
UPDATE webhook_deliveries SET delivered = delivered + 1, delivered_at = $3
WHERE name IN (SELECT name FROM taken)
