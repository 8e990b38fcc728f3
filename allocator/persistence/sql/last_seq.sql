-- Say how far the journal of an actor goes.
-- $1 actor id
SELECT coalesce(max(seq), 0) FROM journal WHERE actor_id = $1
