-- Put the stocks at or below a floor back to what they were there: of those that the floor does not
-- know any more, nothing was on hand.
-- $1 actor id  $2 seq of the floor
-- $3 seqs of the stocks that it knows  $4 what was available of each  $5 what was on hand
UPDATE stocks SET available = former.available, on_hand = former.on_hand
FROM (
    SELECT stocks.seq, coalesce(known.available, 0) AS available,
           coalesce(known.on_hand, 0) AS on_hand
    FROM stocks
    LEFT JOIN unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS known (seq, available, on_hand)
        USING (seq)
    WHERE stocks.actor_id = $1 AND stocks.seq <= $2
) AS former
WHERE stocks.actor_id = $1 AND stocks.seq = former.seq
  AND (stocks.available, stocks.on_hand) <> (former.available, former.on_hand)
