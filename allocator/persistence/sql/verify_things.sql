-- Read the rows of ordinary tables whose changes are journaled, as their last event has to have
-- left them: the actor's key by the row's name, the end of its chain, and what it says.
-- $1 first and $2 last actor id
SELECT actor_id, 'warehouses' AS "table", 'warehouse:' || code AS key, version, digest, created_at,
       CASE WHEN parent IS NULL THEN json_build_object('name', name) ELSE
           json_build_object('name', name, 'warehouse', parent, 'single_product', single_product)
       END AS contents
FROM warehouses WHERE actor_id BETWEEN $1 AND $2
UNION ALL
SELECT actor_id, 'products', 'product:' || sku, version, digest, created_at,
       json_build_object('name', name, 'price', CASE WHEN price_amount IS NOT NULL THEN
           json_build_object('amount', price_amount, 'currency', price_currency) END)
FROM products WHERE actor_id BETWEEN $1 AND $2
UNION ALL
SELECT actor_id, 'api_keys', 'api_key:' || name, version, digest, created_at,
       json_build_object('role', role, 'revoked', revoked_at IS NOT NULL)
FROM api_keys WHERE actor_id BETWEEN $1 AND $2
UNION ALL
SELECT actor_id, 'webhooks', 'webhook:' || name, version, digest, created_at,
       CASE WHEN url IS NULL THEN '{}' ELSE
           json_build_object('url', url, 'warehouse', warehouse, 'product', product, 'kinds', kinds)
       END
FROM webhooks WHERE actor_id BETWEEN $1 AND $2
