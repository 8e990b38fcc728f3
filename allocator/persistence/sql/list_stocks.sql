-- List stocks with something on hand, by address.
-- $1 actor id and $2 seq after which to begin  $3 how many at most
-- $4 warehouse  $5 product; each NULL for any
SELECT stocks.actor_id, stocks.seq, pools.warehouse,
       coalesce(stocks.product, pools.product) AS product, stocks.quantity, stocks.available,
       stocks.received_at, stocks.expires_at, stocks.lot, stocks.reference,
       stocks.origin_actor_id, stocks.origin_seq
FROM stocks JOIN pools USING (actor_id)
WHERE (stocks.actor_id, stocks.seq) > ($1, $2)
  AND stocks.on_hand > 0
  AND ($4::text IS NULL OR pools.warehouse = $4)
  AND ($5::text IS NULL OR (pools.product = $5 OR pools.product IS NULL)
                           AND coalesce(stocks.product, pools.product) = $5)
ORDER BY stocks.actor_id, stocks.seq
LIMIT $3
