-- Each row of these asked whether its feed is there, and feeds are never deleted. For a thousand pushes at
-- once that cost five times as much as to store them, as the row of the feed changes all the time.
ALTER TABLE wms_pools DROP CONSTRAINT wms_pools_feed_fkey;
ALTER TABLE wms_pushes DROP CONSTRAINT wms_pushes_feed_fkey;
ALTER TABLE wms_lots DROP CONSTRAINT wms_lots_feed_fkey;
