-- Say how many units ever belonged to a stock: from the read model, and from the rows above the version
-- that it has seen.
-- $1 actor id  $2 seq of the stock  $3 how many arrived
SELECT coalesce((SELECT quantity FROM stocks WHERE actor_id = $1 AND seq = $2), $3) + coalesce((
    SELECT sum(CASE kind WHEN 'units_adjusted' THEN (change ->> 3)::bigint
                         ELSE greatest((change ->> 1)::bigint, 0) END)
    FROM journal, json_array_elements(body -> 'changes') AS change
    WHERE journal.actor_id = $1
      AND journal.seq > greatest($2, (SELECT version FROM balances WHERE actor_id = $1))
      AND kind IN ('units_adjusted', 'lot_reconciled')
      AND (change ->> 0)::bigint = $2
      AND (kind = 'lot_reconciled' OR change ->> 1 IS NULL)), 0)::bigint
