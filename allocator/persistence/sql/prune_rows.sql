-- Read an actor's rows in order, all of each, and whether they may be pruned as far as age and
-- consumers are concerned.
-- $1 actor id  $2 the seq after which to begin  $3 the last seq  $4 how many at most
-- $5 time  $6 era and $7 xid of the slowest consumer
SELECT actor_id, seq, at, era, xid::text AS xid, kind, version, body, digest, principal,
       idempotency_key, request_digest,
       at < $5 AND (era, xid) <= ($6::int, $7::text::xid8) AS fit
FROM journal
WHERE actor_id = $1 AND seq > $2 AND seq <= $3
ORDER BY seq
LIMIT $4
