-- Read an actor's floor.
-- $1 actor id
SELECT seq, digest, schema_version, state, state_digest FROM floors WHERE actor_id = $1
