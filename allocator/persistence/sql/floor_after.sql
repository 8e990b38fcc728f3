-- Find a floor that may lie behind a cut: what was pruned there is missing from it.
-- $1 era and $2 xid of the cut  $3 when it was taken, or NULL
SELECT floors.actor_id, floors.seq, floors.at
FROM floors
WHERE ($3::timestamptz IS NULL OR floors.at > $3)
  AND NOT coalesce((SELECT (era, xid) < ($1::int, $2::text::xid8) FROM journal
                    WHERE journal.actor_id = floors.actor_id AND journal.seq = floors.seq + 1),
                   false)
LIMIT 1
