-- Say from where an actor may be recovered: the newest snapshot below a seq that stands above the
-- actor's floor, or else the floor; and of what kind it is, and when it is to be woken.
-- The head is the digest of the row that the state stands on.
-- $1 actor id  $2 the schema version that we can read  $3 the seq below which to look
SELECT actors.kind, actors.wake_at, base.seq, base.state, base.state_digest, base.head,
       base.is_floor, base.schema_version
FROM actors
LEFT JOIN LATERAL (
    (SELECT snapshots.seq, snapshots.state, snapshots.digest AS state_digest, journal.digest AS head,
            false AS is_floor, snapshots.schema_version
     FROM snapshots JOIN journal USING (actor_id, seq)
     WHERE snapshots.actor_id = actors.id AND snapshots.schema_version = $2
       AND snapshots.seq < $3
       AND snapshots.seq > coalesce((SELECT floors.seq FROM floors
                                     WHERE floors.actor_id = actors.id), 0)
     ORDER BY snapshots.seq DESC
     LIMIT 1)
    UNION ALL
    SELECT seq, state, state_digest, digest, true, schema_version
    FROM floors WHERE actor_id = actors.id AND seq < $3
    ORDER BY seq DESC
    LIMIT 1
) AS base ON true
WHERE actors.id = $1
