-- Count the batches that the pages of a run have named.
-- $1 feed  $2 run
SELECT count(*) FROM wms_lots WHERE feed = $1 AND run = $2
