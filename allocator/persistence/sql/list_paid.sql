-- List what was bought, by cart.
-- $1 actor id and $2 attempt after which to begin  $3 how many at most  $4 customer; NULL for any
SELECT checkouts.actor_id, attempt, amount, currency, items, changed, changed_at, carts.customer
FROM checkouts JOIN carts USING (actor_id)
WHERE (checkouts.actor_id, attempt) > ($1, $2)
  AND checkouts.status = 'paid'
  AND ($4::text IS NULL OR carts.customer = $4)
ORDER BY checkouts.actor_id, attempt
LIMIT $3
