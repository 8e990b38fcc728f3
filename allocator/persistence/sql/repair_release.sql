-- Have the projection go on with an actor.
-- $1 actor id
DELETE FROM quarantined_projections WHERE actor_id = $1
