-- Begin the delivery of webhooks that came with an import: what happens from now on.
-- $1 position
INSERT INTO webhook_deliveries (name, life, position)
SELECT name, version, $1 FROM webhooks
WHERE url IS NOT NULL AND NOT EXISTS (SELECT FROM webhook_deliveries AS known WHERE known.name = webhooks.name)
ON CONFLICT (name) DO NOTHING
