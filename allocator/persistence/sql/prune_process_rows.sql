-- Read all rows of processes in order, all of each, and whether they may be pruned as far as age and
-- consumers are concerned.
-- $1 actor ids  $2 time  $3 era and $4 xid of the slowest consumer
SELECT actor_id, seq, at, era, xid::text AS xid, kind, version, body, digest, principal,
       idempotency_key, request_digest,
       at < $2 AND (era, xid) <= ($3::int, $4::text::xid8) AS fit
FROM journal
WHERE actor_id = ANY ($1::bigint[])
ORDER BY actor_id, seq
