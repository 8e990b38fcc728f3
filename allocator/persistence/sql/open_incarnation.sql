-- Begin a new life and take along shards of the former ones, in the transaction that fenced them;
-- those not kept are free. Returns the shards that came along.
-- Fencing them once more is for a renewal that was thought lost and committed while this one
-- waited for its lock: what it opened could not be seen before.
-- $1 new incarnation  $2 name  $3 server  $4 address  $5 former incarnations
-- $6 shards to keep, NULL for all
WITH unseen AS (
    UPDATE workers SET fenced = true WHERE incarnation = ANY ($5::uuid[]) AND NOT fenced
), opened AS (
    INSERT INTO workers (incarnation, name, server, address) VALUES ($1, $2, $3, $4)
    RETURNING incarnation
), beaten AS (
    INSERT INTO heartbeats (incarnation) SELECT incarnation FROM opened
), moved AS (
    UPDATE shards
    SET incarnation = CASE WHEN $6::smallint[] IS NULL OR id = ANY ($6) THEN opened.incarnation END
    FROM opened WHERE shards.incarnation = ANY ($5::uuid[])
    RETURNING shards.id, shards.incarnation
)
SELECT id FROM moved WHERE incarnation IS NOT NULL
