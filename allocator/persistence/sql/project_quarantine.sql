-- Stop projecting an actor: its read models stand still from here on.
-- $1 actor id  $2 era  $3 xid after which nothing of it was applied  $4 why
INSERT INTO quarantined_projections (actor_id, era, xid, error) VALUES ($1, $2, $3, $4)
ON CONFLICT (actor_id) DO NOTHING
