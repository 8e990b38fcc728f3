-- What products there were at a cut, what they were called, and what they cost.
-- OFFSET 0 keeps the thing's few rows from being looked for among all that are in the cut.
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
    SELECT seq, digest, body
    FROM (
        SELECT seq, digest, body, era, xid FROM journal
        WHERE actor_id = products.actor_id ORDER BY seq DESC OFFSET 0
    ) AS newest_first
    WHERE (era, xid) < ($1::int, $2::text::xid8)
    LIMIT 1
) AS put
