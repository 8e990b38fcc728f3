-- What warehouses and locations there were at a cut, and what they were called; what refers to another
-- comes after it.
-- OFFSET 0 keeps the thing's few rows from being looked for among all that are in the cut.
-- $1 era and $2 xid of the cut
SELECT warehouses.code,
       CASE WHEN put.seq = warehouses.version THEN warehouses.name
            ELSE put.body ->> 'name' END AS name,
       warehouses.actor_id, put.seq AS version, put.digest, warehouses.created_at,
       warehouses.parent, warehouses.single_product
FROM warehouses
CROSS JOIN LATERAL (
    SELECT seq, digest, body
    FROM (
        SELECT seq, digest, body, era, xid FROM journal
        WHERE actor_id = warehouses.actor_id ORDER BY seq DESC OFFSET 0
    ) AS newest_first
    WHERE (era, xid) < ($1::int, $2::text::xid8)
    LIMIT 1
) AS put
ORDER BY warehouses.parent NULLS FIRST
