-- Advance a feed's position in the journal, if nobody else has.
-- $1 feed  $2 the position that it has  $3 the new one  $4 how many pushes are numbered
-- Returns the last number that was given before.
UPDATE wms_feeds SET position = $3, numbered = numbered + $4
WHERE actor_id = $1 AND position = $2
RETURNING numbered - $4 AS before
