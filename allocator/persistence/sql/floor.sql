-- Say up to which seq the journal of an actor has been pruned, 0 if it is whole.
-- $1 actor id
SELECT coalesce((SELECT seq FROM floors WHERE actor_id = $1), 0)
