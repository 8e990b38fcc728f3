-- What warehouses there were at a cut, and what they were called.
-- $1 era and $2 xid of the cut
SELECT warehouses.code,
       CASE WHEN put.seq = warehouses.version THEN warehouses.name
            ELSE put.body ->> 'name' END AS name,
       warehouses.actor_id, put.seq AS version, put.digest, warehouses.created_at
FROM warehouses
CROSS JOIN LATERAL (
    SELECT seq, digest, body FROM journal
    WHERE actor_id = warehouses.actor_id AND (era, xid) < ($1::int, $2::text::xid8)
    ORDER BY seq DESC LIMIT 1
) AS put
