-- Note that pools are about to be asked what a run says; nobody notes any more what an older one does.
-- $1 feed  $2 run
UPDATE wms_feeds SET settling = $2 WHERE actor_id = $1 AND settling < $2
