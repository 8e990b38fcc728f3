-- Take the shards that nobody serves; only an unfenced incarnation may.
-- $1 own incarnation
WITH alive AS (
    SELECT incarnation FROM workers WHERE incarnation = $1 AND NOT fenced FOR SHARE
)
UPDATE shards SET incarnation = alive.incarnation
FROM alive
WHERE shards.incarnation IS NULL
   OR shards.incarnation IN (SELECT incarnation FROM workers WHERE fenced)
