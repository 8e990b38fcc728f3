-- Have orders at or below a floor be as they were there: open.
-- $1 actor id  $2 seqs  $3 quantities  $4 picks  $5 products; arrays of one length
UPDATE orders SET quantity = known.quantity, status = 'new', closed_at = NULL, picks = known.picks,
                  product = known.product
FROM unnest($2::bigint[], $3::bigint[], $4::text[]::json[], $5::text[])
    AS known (seq, quantity, picks, product)
WHERE orders.actor_id = $1 AND orders.seq = known.seq
