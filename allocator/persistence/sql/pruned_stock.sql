-- Read a stock whose arrival has been pruned: its row of the read model, which is kept for that.
-- $1 actor id  $2 seq
SELECT stocks.product, stocks.quantity, stocks.received_at, stocks.expires_at, stocks.lot,
       stocks.reference, stocks.origin_actor_id, stocks.origin_seq
FROM stocks JOIN floors USING (actor_id)
WHERE actor_id = $1 AND stocks.seq = $2 AND stocks.seq <= floors.seq
