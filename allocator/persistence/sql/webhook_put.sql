-- Store what a webhook is from now on; the secret of one that is there stays.
-- $1 actor id  $2 version  $3 digest  $4 time  $5 name  $6 url  $7 warehouse  $8 product  $9 kinds
-- $10 secret, NULL unless it is new
INSERT INTO webhooks AS known (actor_id, version, digest, created_at, name, url, warehouse, product,
                               kinds, secret)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,
        coalesce($10, (SELECT secret FROM webhooks WHERE name = $5)))
ON CONFLICT (name) DO UPDATE
SET version = excluded.version, digest = excluded.digest, url = excluded.url,
    warehouse = excluded.warehouse, product = excluded.product, kinds = excluded.kinds,
    secret = excluded.secret,
    created_at = CASE WHEN known.secret IS NULL THEN excluded.created_at
                      ELSE known.created_at END
