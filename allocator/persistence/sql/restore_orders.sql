-- Open orders again that were open at a floor and were closed above it, or of which units left
-- above it. What they were placed with stays.
-- $1 actor id  $2 their seqs  $3 how many units were left of each
UPDATE orders SET
    status = CASE WHEN former.units < orders.quantity THEN 'partly_dispatched' ELSE 'new' END,
    dispatched = nullif(orders.quantity - former.units, 0),
    closed_at = NULL
FROM unnest($2::bigint[], $3::bigint[]) AS former (seq, units)
WHERE orders.actor_id = $1 AND orders.seq = former.seq
  AND (orders.status <> 'new' OR former.units < orders.quantity)
