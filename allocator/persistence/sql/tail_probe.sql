-- Say when the first settled row of an era at or above a transaction happened.
-- $1 era  $2 xid  $3 present era
SELECT at
FROM journal
WHERE era = $1 AND xid >= $2::text::xid8
  AND (era, xid) < ($3::int, pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY era, xid
LIMIT 1
