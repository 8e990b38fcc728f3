-- Make an actor, unless there is one of this key.
-- $1 kind  $2 key  $3 shard
INSERT INTO actors (id, kind, key) VALUES (nextval('actor_numbers') << 8 | $3, $1, $2)
ON CONFLICT (key) DO NOTHING
RETURNING id
