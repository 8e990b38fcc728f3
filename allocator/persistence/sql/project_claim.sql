-- Lock the projection's position and say how far the next batch may go: whole transactions of
-- one era, complete ones only, about as many rows as wanted.
-- The position is compared as two scalars: joined to it as a row, the tail's index would be read
-- from its very beginning.
-- $1 present era  $2 rows
WITH position AS MATERIALIZED (
    SELECT era, xid FROM projections WHERE name = 'read models' FOR UPDATE
), next AS (
    SELECT era, xid
    FROM journal
    WHERE (era, xid) > ((SELECT era FROM position), (SELECT xid FROM position))
      AND (era < $1 OR xid < pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY era, xid
    LIMIT $2
)
SELECT next.era,
       CASE WHEN next.era = position.era THEN position.xid ELSE '0' END AS after_xid,
       max(next.xid) AS up_to_xid
FROM position, next
WHERE next.era = (SELECT min(era) FROM next)
GROUP BY next.era, position.era, position.xid
