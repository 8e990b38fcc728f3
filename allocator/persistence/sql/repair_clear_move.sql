-- Remove what is said of a move, and that the projection is to leave it alone.
-- $1 actor id
WITH released AS (
    DELETE FROM quarantined_projections WHERE actor_id = $1
)
DELETE FROM moves WHERE actor_id = $1
