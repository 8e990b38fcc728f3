-- Say how far the slowest of this installation's own consumers of the tail has come: what it has
-- not seen must not be pruned.
SELECT era, xid::text AS xid, now() AS now FROM projections ORDER BY projections.era, projections.xid LIMIT 1
