-- Add stocks that were received or taken in, with nothing on hand yet.
-- $1 actor id  $2 seqs  $3 quantities  $4 times  $5 expiries  $6 lots  $7 references  $8 products
-- $9 actors and $10 seqs of the stocks elsewhere that they were part of; arrays of one length
INSERT INTO stocks (actor_id, seq, quantity, available, on_hand, received_at, expires_at, lot,
                    reference, product, origin_actor_id, origin_seq)
SELECT $1, came.seq, came.quantity, 0, 0, came.received_at, came.expires_at, came.lot,
       came.reference, came.product, came.origin_actor_id, came.origin_seq
FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::text[],
            $7::text[], $8::text[], $9::bigint[], $10::bigint[])
    AS came (seq, quantity, received_at, expires_at, lot, reference, product, origin_actor_id,
             origin_seq)
