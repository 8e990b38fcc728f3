-- Forget the snapshots that are no newer than what was heard.
-- $1 feed  $2 as of when that is
DELETE FROM wms_parts WHERE feed = $1 AND as_of <= $2
