-- Say which actor has a key.
-- $1 key
SELECT id FROM actors WHERE key = $1
