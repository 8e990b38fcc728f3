-- Say which of some actors have a floor.
-- $1 actor ids
SELECT actor_id FROM floors WHERE actor_id = ANY ($1::bigint[])
