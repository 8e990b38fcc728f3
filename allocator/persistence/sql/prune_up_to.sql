-- Say up to which of an actor's rows all are older than a time and have been seen by every
-- consumer; the seq below the first of them if none is. Both ascend with seq, so halving finds it.
-- $1 actor id  $2 and $3 the seqs between which to look  $4 time  $5 era and $6 xid of the slowest
WITH RECURSIVE bounds (low, high) AS (
    SELECT $2::bigint, $3::bigint
    UNION ALL
    SELECT CASE WHEN probe.fit THEN probe.seq ELSE low END,
           CASE WHEN probe.fit THEN high ELSE probe.seq - 1 END
    FROM bounds
    JOIN LATERAL (
        SELECT seq, at < $4 AND (era, xid) <= ($5::int, $6::text::xid8) AS fit
        FROM journal WHERE actor_id = $1 AND seq = (low + high + 1) / 2
    ) AS probe ON low < high
)
SELECT low FROM bounds WHERE low = high
