-- Say whether every pool of a feed is known to be detached, so that what was open is taken back.
-- $1 feed
SELECT NOT EXISTS (
    SELECT 1 FROM wms_pools WHERE feed = $1 AND (account ->> 'attached')::boolean
) AS is_let_go
