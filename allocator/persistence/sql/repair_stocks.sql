-- Add stocks that were received, with nothing on hand yet.
-- $1 actor id  $2 seqs  $3 quantities  $4 times  $5 expiries  $6 lots  $7 references; arrays of
-- one length
INSERT INTO stocks (actor_id, seq, quantity, available, on_hand, received_at, expires_at, lot,
                    reference)
SELECT $1, received.seq, received.quantity, 0, 0, received.at, received.expires_at, received.lot,
       received.reference
FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::text[],
            $7::text[]) AS received (seq, quantity, at, expires_at, lot, reference)
