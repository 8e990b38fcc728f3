-- Say where actors stand: at their last row, or else at their floor.
-- $1 ids of actors
SELECT wanted.id, coalesce(last.seq, floors.seq) AS seq, coalesce(last.digest, floors.digest) AS digest
FROM unnest($1::bigint[]) AS wanted (id)
LEFT JOIN floors ON floors.actor_id = wanted.id
LEFT JOIN LATERAL (
    SELECT seq, digest FROM journal WHERE actor_id = wanted.id ORDER BY seq DESC LIMIT 1
) AS last ON true
WHERE coalesce(last.seq, floors.seq) IS NOT NULL
