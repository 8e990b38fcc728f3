-- Put a balance back to what it was at a floor.
-- $1 actor id  $2 version  $3 available  $4 ordered  $5 held  $6 expired  $7 product  $8 aside
INSERT INTO balances (actor_id, version, available, ordered, held, expired, product, aside)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (actor_id) DO UPDATE
SET version = excluded.version, available = excluded.available, ordered = excluded.ordered,
    held = excluded.held, expired = excluded.expired, product = excluded.product,
    aside = excluded.aside
