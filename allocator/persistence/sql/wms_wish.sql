-- Return when it was last told of units that may have arrived; NULL if that was never so, or if a
-- complete run is newer than all of it.
-- $1 feed
SELECT max(wished_at) FROM wms_events WHERE feed = $1 AND wished_at IS NOT NULL
