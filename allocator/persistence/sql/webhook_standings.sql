-- List webhooks and how far they are. One that came with an import has no delivery yet.
-- $1 name, NULL for any  $2 after which name  $3 how many
SELECT name, url, warehouse, product, kinds, created_at,
       coalesce(enabled, true) AS enabled, coalesce(position, '0.0.0.0') AS position,
       coalesce(attempts, 0) AS attempts, retry_at, coalesce(delivered, 0) AS delivered,
       delivered_at, coalesce(failed, 0) AS failed, last_error, last_error_at,
       (SELECT count(*) FROM webhook_dead_letters AS letter WHERE letter.name = webhook.name)
           AS dead_letters
FROM webhooks AS webhook
LEFT JOIN webhook_deliveries USING (name)
WHERE url IS NOT NULL AND ($1::text IS NULL OR name = $1) AND name > $2
ORDER BY name
LIMIT $3
