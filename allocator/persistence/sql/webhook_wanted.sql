-- List what is to be delivered to whom, and from where on.
-- $1 now
SELECT name, url, warehouse, product, kinds, life, position, attempts, retry_at,
       array_remove(ARRAY[secret, CASE WHEN former_until > $1 THEN former_secret END], NULL)
           AS secrets,
       (SELECT count(*) FROM webhook_dead_letters AS letter WHERE letter.name = webhook.name)
           AS dead_letters,
       EXISTS (SELECT FROM webhook_dead_letters AS letter
               WHERE letter.name = webhook.name AND again) AS again
FROM webhooks AS webhook
JOIN webhook_deliveries USING (name)
WHERE url IS NOT NULL AND enabled
ORDER BY name
