-- Add an attempt to pay for a cart; nothing is said of it yet.
-- $1 actor id  $2 attempt  $3 status  $4 amount  $5 currency  $6 items  $7 when it began
-- $8 when it changed, and $9 in which event
INSERT INTO checkouts (actor_id, attempt, status, amount, currency, items, begun_at, changed_at,
                       changed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
