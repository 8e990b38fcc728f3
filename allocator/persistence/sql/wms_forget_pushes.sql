-- Forget the pushes that are taken into their pools.
-- $1 feed  $2 through which number
DELETE FROM wms_pushes WHERE feed = $1 AND number <= $2
