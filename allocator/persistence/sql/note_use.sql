-- Remember when API keys were used last. In the order of their names: several workers do so at the
-- same time. A key whose row somebody else holds is noted the next time.
-- $1 names  $2 time
UPDATE api_keys SET last_used_at = $2
WHERE name IN (
    SELECT name FROM api_keys
    WHERE name = ANY ($1::text[]) AND (last_used_at IS NULL OR last_used_at < $2)
    ORDER BY name FOR UPDATE SKIP LOCKED
)
