-- Remove some of the stocks of an actor that can be derived again; say how many that were.
-- $1 actor id  $2 its floor, 0 for none  $3 how many at most
WITH removed AS (
    DELETE FROM stocks
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM stocks WHERE actor_id = $1 AND seq > $2 LIMIT $3))
    RETURNING 1
)
SELECT count(*) FROM removed
