-- Have a feed of which all pools are detached ask its WMS, should it be put again, which numbers that
-- knows: it may be another WMS then.
-- $1 feed
UPDATE wms_feeds SET numbers = 'new' WHERE actor_id = $1
