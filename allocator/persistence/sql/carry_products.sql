-- What products there were at a cut, what they were called, and what they cost.
-- $1 era and $2 xid of the cut
SELECT products.sku,
       CASE WHEN put.seq = products.version THEN products.name
            ELSE put.body ->> 'name' END AS name,
       CASE WHEN put.seq = products.version THEN products.price_amount
            ELSE (put.body -> 'price' ->> 'amount')::bigint END AS price_amount,
       CASE WHEN put.seq = products.version THEN products.price_currency
            ELSE put.body -> 'price' ->> 'currency' END AS price_currency,
       products.actor_id, put.seq AS version, put.digest, products.created_at
FROM products
CROSS JOIN LATERAL (
    SELECT seq, digest, body FROM journal
    WHERE actor_id = products.actor_id AND (era, xid) < ($1::int, $2::text::xid8)
    ORDER BY seq DESC LIMIT 1
) AS put
