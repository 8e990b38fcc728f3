-- Find the oldest cut.
SELECT at, era, xid::text AS xid FROM cuts ORDER BY at LIMIT 1
