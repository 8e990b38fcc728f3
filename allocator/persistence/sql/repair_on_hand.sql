-- Say of what stocks something is on hand, and that of all others nothing is. Stocks at or below
-- a floor of which something is on hand are made again if they are gone.
-- $1 actor id  $2 seqs  $3 quantities  $4 available  $5 on hand  $6 times  $7 expiries  $8 lots
-- $9 references  $10 products  $11 actors and $12 seqs of the stocks elsewhere that they were part
-- of  $13 units by state  $14 recalled; arrays of one length
WITH live AS (
    SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                         $6::timestamptz[], $7::timestamptz[], $8::text[], $9::text[],
                         $10::text[], $11::bigint[], $12::bigint[], $13::jsonb[],
                         $14::bigint[])
        AS lot (seq, quantity, available, on_hand, received_at, expires_at, lot, reference,
                product, origin_actor_id, origin_seq, aside, recalled)
), used_up AS (
    UPDATE stocks SET available = 0, on_hand = 0, aside = '{}', recalled = 0
    WHERE actor_id = $1 AND on_hand > 0 AND NOT EXISTS (
        SELECT FROM live WHERE live.seq = stocks.seq)
)
INSERT INTO stocks (actor_id, seq, quantity, available, on_hand, received_at, expires_at, lot,
                    reference, product, origin_actor_id, origin_seq, aside, recalled)
SELECT $1, live.* FROM live
ON CONFLICT (actor_id, seq) DO UPDATE
SET quantity = excluded.quantity, available = excluded.available, on_hand = excluded.on_hand,
    received_at = excluded.received_at, expires_at = excluded.expires_at, lot = excluded.lot,
    reference = excluded.reference, product = excluded.product,
    origin_actor_id = excluded.origin_actor_id, origin_seq = excluded.origin_seq,
    aside = excluded.aside, recalled = excluded.recalled
