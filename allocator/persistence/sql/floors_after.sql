-- List the floors of a kind of actors.
-- $1 actor id after which to begin  $2 their kind  $3 how many at most
SELECT actor_id, actors.kind, seq, schema_version, state, state_digest
FROM floors JOIN actors ON actors.id = floors.actor_id
WHERE actor_id > $1 AND actors.kind = $2 ORDER BY actor_id LIMIT $3
