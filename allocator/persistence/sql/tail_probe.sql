-- Say when the first settled row at or above a transaction happened.
-- $1 era  $2 xid  $3 present era
SELECT era, xid, at
FROM journal
WHERE (era, xid) >= ($1::int, $2::text::xid8)
  AND (era, xid) < ($3::int, pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY era, xid
LIMIT 1
