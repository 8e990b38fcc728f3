-- Keep a snapshot and drop all but the newest few of its actor.
-- $1 actor id  $2 seq  $3 schema version  $4 state  $5 digest of the state  $6 how many to keep
WITH kept AS (
    SELECT seq FROM snapshots WHERE actor_id = $1 ORDER BY seq DESC LIMIT $6 - 1
), dropped AS (
    DELETE FROM snapshots
    WHERE actor_id = $1 AND seq NOT IN (SELECT seq FROM kept) AND seq <> $2
)
INSERT INTO snapshots (actor_id, seq, schema_version, state, digest)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (actor_id, seq) DO UPDATE
SET schema_version = excluded.schema_version, state = excluded.state, digest = excluded.digest
