-- Store an actor's balance, and have the projection go on with it.
-- $1 actor id  $2 version  $3 available  $4 ordered  $5 held  $6 expired  $7 product  $8 aside
WITH released AS (
    DELETE FROM quarantined_projections WHERE actor_id = $1
)
INSERT INTO balances (actor_id, version, available, ordered, held, expired, product, aside)
SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE $2::bigint > 0
