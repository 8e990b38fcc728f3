-- Note that pools are about to be asked what a run says; nobody notes any more what an older one does.
-- $1 feed  $2 run  $3 as of when it is  $4 the last push that it has applied
UPDATE wms_feeds SET settling = $2, settling_as_of = $3, settling_through = $4
WHERE actor_id = $1 AND settling < $2
