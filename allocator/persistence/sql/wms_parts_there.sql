-- Return what is there of the newest snapshot.
-- $1 feed
SELECT as_of, parts, applied_through, array_agg(part ORDER BY part) AS there
FROM wms_parts
WHERE feed = $1 AND as_of = (SELECT max(as_of) FROM wms_parts WHERE feed = $1)
GROUP BY as_of, parts, applied_through
ORDER BY parts, applied_through LIMIT 1
