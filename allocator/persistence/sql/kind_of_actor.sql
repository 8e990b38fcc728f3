-- Return what kind an actor is of, as it is stored.
-- $1 actor id
SELECT kind FROM actors WHERE id = $1
