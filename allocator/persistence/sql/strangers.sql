-- List those of some actors that do not exist.
-- $1 ids of actors
SELECT id FROM unnest($1::bigint[]) AS asked (id)
WHERE NOT EXISTS (SELECT FROM actors WHERE actors.id = asked.id)
ORDER BY id
