-- Remove what orders of an actor got above its floor.
-- $1 actor id  $2 its floor, 0 for none
DELETE FROM repicks WHERE actor_id = $1 AND seq > $2
