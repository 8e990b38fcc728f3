-- Where histories begin whose oldest rows have been pruned; what is pruned is in every cut that
-- can still be asked for.
SELECT actor_id, seq, digest, schema_version, state, state_digest, at FROM floors
