-- Say what actors are.
-- $1 ids of actors
SELECT id, key FROM actors WHERE id = ANY ($1::bigint[])
