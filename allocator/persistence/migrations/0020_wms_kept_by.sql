-- Why a feed that was deleted has not ended, though nothing of it is under way any more: which product could
-- not let go of it. NULL if nothing is known to keep it.
ALTER TABLE wms_feeds ADD COLUMN kept_by text NULL;
