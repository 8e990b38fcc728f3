-- Note why a feed that was deleted does not end.
-- $1 feed  $2 why; NULL if it is not known any more to be kept
UPDATE wms_feeds SET kept_by = $2 WHERE actor_id = $1 AND kept_by IS DISTINCT FROM $2
