-- Count the events that wait to be worked off.
-- $1 feed
SELECT count(*) FROM wms_events WHERE feed = $1 AND is_waiting
