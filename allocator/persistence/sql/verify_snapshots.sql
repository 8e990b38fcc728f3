-- Read the snapshots between two addresses that stand above their actor's floor; of large ones
-- not the state.
-- $1 actor id and $2 seq after which to begin  $3 actor id and $4 seq of the last one
-- $5 the schema version that we can read  $6 bytes that are large
SELECT actor_id, seq, digest, CASE WHEN octet_length(state) <= $6 THEN state END AS state
FROM snapshots
WHERE (actor_id, seq) > ($1::bigint, $2::bigint) AND (actor_id, seq) <= ($3::bigint, $4::bigint)
  AND schema_version = $5
  AND NOT EXISTS (SELECT FROM floors
                  WHERE floors.actor_id = snapshots.actor_id AND floors.seq >= snapshots.seq)
ORDER BY actor_id, seq
