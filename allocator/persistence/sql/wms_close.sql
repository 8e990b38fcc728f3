-- Have a feed of which all pools are detached ask its WMS, should it be put again, which numbers that
-- knows: it may be another WMS then, which counts its moments otherwise. Nothing is missing of it any more.
-- $1 feed
WITH closed AS (
    UPDATE wms_feeds
    SET numbers = 'new', settling_as_of = NULL, settling_through = NULL, kept_by = NULL
    WHERE actor_id = $1
    RETURNING actor_id
)
UPDATE wms_pools SET short = 0 FROM closed WHERE feed = closed.actor_id AND short <> 0
