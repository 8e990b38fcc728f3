-- Read where the history of an actor begins.
-- $1 actor id
SELECT seq, digest, schema_version, state, state_digest FROM floors WHERE actor_id = $1
