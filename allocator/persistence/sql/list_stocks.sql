-- List stocks with something on hand, by address. Those of a product are at pools of it, and at
-- locations of which it was the last one.
-- $1 actor id and $2 seq after which to begin  $3 how many at most
-- $4 warehouse  $5 product; each NULL for any
SELECT stocks.actor_id, stocks.seq, pools.warehouse,
       coalesce(stocks.product, pools.product) AS product, stocks.quantity, stocks.available,
       stocks.received_at, stocks.expires_at, stocks.lot, stocks.reference,
       stocks.origin_actor_id, stocks.origin_seq, stocks.aside, stocks.recalled
FROM stocks JOIN pools USING (actor_id)
WHERE (stocks.actor_id, stocks.seq) > ($1, $2)
  AND stocks.on_hand > 0
  AND ($4::text IS NULL OR pools.warehouse = $4)
  AND ($5::text IS NULL OR stocks.actor_id = ANY (ARRAY(
          SELECT actor_id FROM pools WHERE product = $5
          UNION ALL SELECT actor_id FROM balances WHERE product = $5)))
ORDER BY stocks.actor_id, stocks.seq
LIMIT $3
