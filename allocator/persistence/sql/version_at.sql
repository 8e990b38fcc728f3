-- Say which version an actor had at a time: the seq of its last row that is not younger, or of its
-- floor. No index knows times; but they ascend with seq, so halving finds it in the primary key.
-- Returns NULL if rows are missing where it looks.
-- $1 actor id  $2 time
WITH RECURSIVE floor AS (
    SELECT coalesce((SELECT seq FROM floors WHERE actor_id = $1), 0) AS seq
), bounds (low, high) AS (
    SELECT floor.seq,
           coalesce((SELECT max(seq) FROM journal WHERE actor_id = $1 AND seq > floor.seq),
                    floor.seq)
    FROM floor
    UNION ALL
    SELECT CASE WHEN probe.at <= $2 THEN probe.seq ELSE low END,
           CASE WHEN probe.at <= $2 THEN high ELSE probe.seq - 1 END
    FROM bounds
    JOIN LATERAL (
        SELECT seq, at FROM journal WHERE actor_id = $1 AND seq = (low + high + 1) / 2
    ) AS probe ON low < high
)
SELECT (SELECT low FROM bounds WHERE low = high) AS version, floor.seq AS floor FROM floor
