-- Record a cut of this moment, if anything was committed since the last one.
-- The clock is read after the snapshot was taken: all that is in the cut was committed by then. One
-- that went back records nothing until it has caught up, so that a later cut is never the smaller.
-- Returns a row if it was recorded.
WITH last AS MATERIALIZED (
    SELECT at, era, xid FROM cuts ORDER BY at DESC LIMIT 1
), present AS MATERIALIZED (
    SELECT installation.era, pg_snapshot_xmin(pg_current_snapshot()) AS xid,
           CASE WHEN last.era = installation.era THEN last.xid ELSE '0' END AS since,
           last.at AS last_at
    FROM installation LEFT JOIN last ON true
)
INSERT INTO cuts (at, era, xid)
SELECT clock_timestamp(), era, xid
FROM present
WHERE (last_at IS NULL OR clock_timestamp() > last_at)
  AND EXISTS (
    SELECT FROM journal
    WHERE (journal.era, journal.xid) >= ((SELECT era FROM present), (SELECT since FROM present))
      AND (journal.era, journal.xid) < ((SELECT era FROM present), (SELECT xid FROM present)))
RETURNING at
