-- Add orders that were placed.
-- $1 actor id  $2 seqs  $3 quantities  $4 times  $5 customers  $6 picks
-- $7 products; arrays of one length
INSERT INTO orders (actor_id, seq, quantity, created_at, status, customer, picks, product)
SELECT $1, placed.seq, placed.quantity, placed.at, 'new', placed.customer, placed.picks,
       placed.product
FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[]::json[],
            $7::text[])
    AS placed (seq, quantity, at, customer, picks, product)
