-- Say how far the read models are behind.
-- $1 present era
WITH position AS (
    SELECT era, xid FROM projections WHERE name = 'read models'
), waiting AS (
    SELECT journal.era < $1 OR journal.xid < pg_snapshot_xmin(pg_current_snapshot()) AS settled
    FROM position JOIN journal ON (journal.era, journal.xid) > (position.era, position.xid)
    LIMIT 1000000
)
SELECT count(*) AS events,
       count(*) FILTER (WHERE NOT settled) AS held_back,
       (SELECT count(*) FROM quarantined_projections) AS quarantined
FROM waiting
