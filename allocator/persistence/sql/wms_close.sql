-- Have a feed of which all pools are detached ask its WMS, should it be put again, which numbers that
-- knows: it may be another WMS then, which counts its moments otherwise.
-- $1 feed
UPDATE wms_feeds SET numbers = 'new', settling_as_of = NULL, settling_through = NULL
WHERE actor_id = $1
