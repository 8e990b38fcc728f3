-- List the shards of an incarnation, none if it is fenced.
-- $1 incarnation
SELECT shards.id FROM shards JOIN workers USING (incarnation)
WHERE shards.incarnation = $1 AND NOT workers.fenced
