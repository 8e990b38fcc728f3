-- List floors by actor.
-- $1 actor id after which to begin
SELECT actor_id, seq, schema_version, state, state_digest
FROM floors WHERE actor_id > $1 ORDER BY actor_id LIMIT 1
