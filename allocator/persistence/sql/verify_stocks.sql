-- Read the stocks between two addresses, but for those at or below a floor.
-- $1 actor id and $2 seq after which to begin  $3 actor id and $4 seq of the last one
-- $5 how many at most
SELECT actor_id, seq, quantity, available, on_hand, received_at, expires_at, lot, reference,
       product, origin_actor_id, origin_seq, aside, recalled
FROM stocks
WHERE (actor_id, seq) > ($1::bigint, $2::bigint) AND (actor_id, seq) <= ($3::bigint, $4::bigint)
  AND NOT EXISTS (SELECT FROM floors
                  WHERE floors.actor_id = stocks.actor_id AND floors.seq >= stocks.seq)
ORDER BY actor_id, seq
LIMIT $5
