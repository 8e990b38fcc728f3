-- Lock the projection's position and say how far the next batch may go: whole transactions of
-- one era, complete ones only, about as many rows as wanted.
-- $1 present era  $2 rows
WITH position AS (
    SELECT era, xid FROM projections WHERE name = 'read models' FOR UPDATE
), next AS (
    SELECT journal.era, journal.xid
    FROM position JOIN journal ON (journal.era, journal.xid) > (position.era, position.xid)
    WHERE journal.era < $1 OR journal.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY journal.era, journal.xid
    LIMIT $2
)
SELECT next.era,
       CASE WHEN next.era = position.era THEN position.xid ELSE '0' END AS after_xid,
       max(next.xid) AS up_to_xid
FROM position, next
WHERE next.era = (SELECT min(era) FROM next)
GROUP BY next.era, position.era, position.xid
