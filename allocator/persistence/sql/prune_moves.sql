-- List moves by actor that have come to their end, of which nothing has been pruned yet, and whose
-- last row may be pruned as far as age and consumers are concerned, as the read model has them.
-- $1 actor id after which to begin  $2 how many at most  $3 time
-- $4 era and $5 xid of the slowest consumer
SELECT moves.*
FROM moves
JOIN journal AS last ON last.actor_id = moves.actor_id AND last.seq = moves.version
WHERE moves.actor_id > $1 AND moves.ended
  AND last.at < $3 AND (last.era, last.xid) <= ($4::int, $5::text::xid8)
  AND NOT EXISTS (SELECT FROM floors WHERE floors.actor_id = moves.actor_id)
ORDER BY moves.actor_id
LIMIT $2
