-- Add a cart; nothing is said of it yet.
-- $1 actor id  $2 version  $3 customer  $4 status  $5 when it was opened  $6 when it expires
-- $7 for how long after a change, and $8 after that it was opened, milliseconds
INSERT INTO carts (actor_id, version, customer, status, opened_at, expires_at, ttl, cap)
VALUES ($1, $2, $3, $4, $5, $6, $7::bigint * interval '1 millisecond',
        $8::bigint * interval '1 millisecond')
