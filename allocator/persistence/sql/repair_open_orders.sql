-- Have orders at or below a floor be as they were there: open. Of one that is larger than what was
-- left of it then, and whose picks bear that out, units had left.
-- $1 actor id  $2 seqs  $3 quantities  $4 picks  $5 products; arrays of one length
UPDATE orders SET
    quantity = CASE WHEN known.had_left THEN orders.quantity ELSE known.quantity END,
    picks = CASE WHEN known.had_left THEN orders.picks ELSE known.picks END,
    status = CASE WHEN known.had_left THEN 'partly_dispatched' ELSE 'new' END,
    dispatched = CASE WHEN known.had_left THEN orders.quantity - known.quantity END,
    closed_at = NULL, product = known.product
FROM (
    SELECT former.*, stored.quantity > former.quantity AND stored.quantity = (
               SELECT sum((pick ->> 1)::bigint) FROM json_array_elements(stored.picks) AS pick
           ) AS had_left
    FROM unnest($2::bigint[], $3::bigint[], $4::text[]::json[], $5::text[])
        AS former (seq, quantity, picks, product)
    JOIN orders AS stored ON stored.actor_id = $1 AND stored.seq = former.seq
) AS known
WHERE orders.actor_id = $1 AND orders.seq = known.seq
