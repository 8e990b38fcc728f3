-- Keep a snapshot, and drop others of its actor: all but the newest few and the last one of each
-- so many events. Those bound what a look far back has to replay.
-- $1 actor id  $2 seq  $3 schema version  $4 state  $5 digest of the state  $6 how many to keep
-- $7 of how many events one is kept
WITH newest AS (
    SELECT seq FROM snapshots WHERE actor_id = $1 ORDER BY seq DESC LIMIT $6 - 1
), last AS (
    SELECT max(seq) AS seq
    FROM (SELECT seq FROM snapshots WHERE actor_id = $1 UNION SELECT $2) AS each
    GROUP BY seq / $7
), dropped AS (
    DELETE FROM snapshots
    WHERE actor_id = $1 AND seq <> $2
      AND seq NOT IN (SELECT seq FROM newest) AND seq NOT IN (SELECT seq FROM last)
)
INSERT INTO snapshots (actor_id, seq, schema_version, state, digest)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (actor_id, seq) DO UPDATE
SET schema_version = excluded.schema_version, state = excluded.state, digest = excluded.digest
