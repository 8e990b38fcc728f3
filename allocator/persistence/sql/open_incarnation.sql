-- Begin a new life and take along the shards of the former ones (in the fencing transaction).
-- $1 new incarnation  $2 name  $3 former incarnations
WITH opened AS (
    INSERT INTO workers (incarnation, name) VALUES ($1, $2) RETURNING incarnation
), beaten AS (
    INSERT INTO heartbeats (incarnation) SELECT incarnation FROM opened
)
UPDATE shards SET incarnation = opened.incarnation
FROM opened WHERE shards.incarnation = ANY ($3::uuid[])
RETURNING shards.id
