-- Read where the history of an actor begins.
-- $1 actor id
SELECT actors.kind, seq, digest, schema_version, state, state_digest
FROM floors LEFT JOIN actors ON actors.id = floors.actor_id
WHERE actor_id = $1
