-- List orders of a cut that have been dispatched since, in the order in which they were.
-- $1 era and $2 xid of the cut  $3 how many at most
SELECT actor_id, (body ->> 'order')::bigint AS seq, count(*) OVER () AS total
FROM journal AS dispatch
WHERE (era, xid) >= ($1::int, $2::text::xid8)
  AND kind = 'order_dispatched'
  AND NOT coalesce((SELECT (era, xid) >= ($1::int, $2::text::xid8) FROM journal AS placement
                    WHERE placement.actor_id = dispatch.actor_id
                      AND placement.seq = (dispatch.body ->> 'order')::bigint), false)
ORDER BY era, xid, actor_id, dispatch.seq
LIMIT $3
