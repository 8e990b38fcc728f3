-- Have the projection leave an actor alone until its read models have been rebuilt. Whoever is
-- interrupted leaves it so, and it is rebuilt the next time.
-- Without its balance, requests by id look into the journal for how orders ended.
-- $1 actor id  $2 era and $3 xid that the read models have come to  $4 what is being done
WITH unknown AS (
    DELETE FROM balances WHERE actor_id = $1
)
INSERT INTO quarantined_projections (actor_id, era, xid, error) VALUES ($1, $2, $3::text::xid8, $4)
ON CONFLICT (actor_id) DO UPDATE SET error = excluded.error, at = now()
