-- Say how an order ended, when, and how many units were ordered till then: from the read model, or
-- from the event that ended it, among the rows above the version that the read model has seen.
-- $1 actor id  $2 seq  $3 kinds of events that end orders
SELECT status AS how, closed_at AS at, quantity - coalesce(dispatched, 0) AS quantity
FROM orders WHERE actor_id = $1 AND seq = $2 AND closed_at IS NOT NULL
UNION ALL
SELECT kind AS how, at, (body ->> 'quantity')::bigint AS quantity FROM journal
WHERE actor_id = $1
  AND seq > greatest($2, (SELECT version FROM balances WHERE actor_id = $1))
  AND kind = ANY ($3::text[])
  AND (body ->> 'order')::bigint = $2
LIMIT 1
