-- Say how an order ended and when: its status in the read model, or the kind of the event that
-- ended it, among the rows above the version that the read model has seen.
-- $1 actor id  $2 seq  $3 kinds of events that end orders
SELECT status AS how, closed_at AS at
FROM orders WHERE actor_id = $1 AND seq = $2 AND status <> 'new'
UNION ALL
SELECT kind AS how, at FROM journal
WHERE actor_id = $1
  AND seq > greatest($2, (SELECT version FROM balances WHERE actor_id = $1))
  AND kind = ANY ($3::text[])
  AND (body ->> 'order')::bigint = $2
LIMIT 1
