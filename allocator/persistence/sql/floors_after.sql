-- List floors by actor.
-- $1 actor id after which to begin
SELECT actor_id, actors.kind, seq, schema_version, state, state_digest
FROM floors JOIN actors ON actors.id = floors.actor_id
WHERE actor_id > $1 ORDER BY actor_id LIMIT 1
