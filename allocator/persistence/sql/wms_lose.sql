-- Forget what a WMS was told: it knows better.
-- $1 feed
WITH pushes AS (DELETE FROM wms_pushes WHERE feed = $1),
     lots AS (DELETE FROM wms_lots WHERE feed = $1),
     pools AS (DELETE FROM wms_pools WHERE feed = $1)
UPDATE wms_feeds SET numbers = 'lost', numbered = 0, acknowledged = 0, applied = 0
WHERE actor_id = $1
