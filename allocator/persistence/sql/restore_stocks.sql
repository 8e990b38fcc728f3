-- Put the stocks at or below a floor back to what they were there: of those that the floor does not
-- know any more, nothing was on hand.
-- $1 actor id  $2 seq of the floor
-- $3 seqs of the stocks that it knows  $4 what was available of each  $5 what was on hand
-- $6 what had ever belonged to it  $7 units by state  $8 recalled; arrays of one length
UPDATE stocks SET available = former.available, on_hand = former.on_hand,
                  quantity = former.quantity, aside = former.aside, recalled = former.recalled
FROM (
    SELECT stocks.seq, coalesce(known.available, 0) AS available,
           coalesce(known.on_hand, 0) AS on_hand,
           coalesce(known.quantity, stocks.quantity) AS quantity,
           coalesce(known.aside, '{}') AS aside, coalesce(known.recalled, 0) AS recalled
    FROM stocks
    LEFT JOIN unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::jsonb[],
                     $8::bigint[]) AS known (seq, available, on_hand, quantity, aside, recalled)
        USING (seq)
    WHERE stocks.actor_id = $1 AND stocks.seq <= $2
) AS former
WHERE stocks.actor_id = $1 AND stocks.seq = former.seq
  AND (stocks.available, stocks.on_hand, stocks.quantity, stocks.aside, stocks.recalled)
      <> (former.available, former.on_hand, former.quantity, former.aside, former.recalled)
