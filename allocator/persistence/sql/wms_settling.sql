-- Return the last run of a feed that has asked pools anything; nothing if none has since it was put.
-- $1 feed
SELECT settling AS run, settling_as_of AS as_of, settling_through AS applied_through
FROM wms_feeds WHERE actor_id = $1 AND settling_as_of IS NOT NULL
