-- Return what a part of a snapshot says.
-- $1 feed  $2 as of  $3 part
SELECT items FROM wms_parts WHERE feed = $1 AND as_of = $2 AND part = $3
