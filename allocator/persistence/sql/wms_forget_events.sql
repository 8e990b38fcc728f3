-- Forget the events that are no newer than a complete run.
-- $1 feed  $2 as of when the run is
DELETE FROM wms_events WHERE feed = $1 AND as_of <= $2
