-- Find the newest cut at or before a time.
-- $1 time
SELECT at, era, xid::text AS xid FROM cuts WHERE at <= $1 ORDER BY at DESC LIMIT 1
