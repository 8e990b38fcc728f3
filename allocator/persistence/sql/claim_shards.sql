-- Take free shards, for an incarnation whose row is held; those that a renewal is about to move
-- are not free yet, or no more.
-- $1 own incarnation  $2 how many at most
WITH free AS (
    SELECT id FROM shards WHERE incarnation IS NULL ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE shards SET incarnation = $1 FROM free WHERE shards.id = free.id
