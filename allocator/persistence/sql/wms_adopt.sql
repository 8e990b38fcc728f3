-- Have feeds be known that came with the journal of another database. What their WMS was told did not
-- come along.
-- $1 position in the journal
INSERT INTO wms_feeds (actor_id, warehouse, position, numbers)
SELECT id, substr(key, length('feed:') + 1), $1, 'lost' FROM actors WHERE kind = 'feed'
ON CONFLICT (actor_id) DO NOTHING
