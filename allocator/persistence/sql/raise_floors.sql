-- Say that the rows of actors are not needed any more up to a seq, and drop the snapshots that
-- stand there. Their archive is durable, or nobody wants one.
-- $1 actor ids  $2 seqs  $3 digests of these rows  $4 states after them  $5 digests of the states
-- $6 schema version; arrays of one length
WITH raised AS (
    INSERT INTO floors (actor_id, seq, digest, state, state_digest, schema_version)
    SELECT new.*, $6::smallint
    FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[]) AS new
    ON CONFLICT (actor_id) DO UPDATE
    SET seq = excluded.seq, digest = excluded.digest, state = excluded.state,
        state_digest = excluded.state_digest, schema_version = excluded.schema_version, at = now()
    WHERE floors.seq < excluded.seq
    RETURNING actor_id, seq
)
DELETE FROM snapshots USING raised
WHERE snapshots.actor_id = raised.actor_id AND snapshots.seq <= raised.seq
