-- List pools by actor: up to which seq each is pruned, how far it is projected, its newest two
-- snapshots (fewer if there are not so many), and its oldest row.
-- $1 actor id after which to begin  $2 how many at most  $3 the schema version that we can read
SELECT balances.actor_id, concat_ws('/', pools.warehouse, pools.product) AS name,
       balances.version,
       coalesce(floors.seq, 0) AS floor, snapshot.seqs AS snapshots, oldest.at AS oldest_at
FROM balances
JOIN pools USING (actor_id)
LEFT JOIN floors USING (actor_id)
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(newest.seq ORDER BY newest.seq DESC), '{}') AS seqs
    FROM (
        SELECT snapshots.seq
        FROM snapshots
        WHERE snapshots.actor_id = balances.actor_id AND snapshots.schema_version = $3
          AND snapshots.seq > coalesce(floors.seq, 0)
        ORDER BY snapshots.seq DESC
        LIMIT 2
    ) AS newest
) AS snapshot
LEFT JOIN LATERAL (
    SELECT at FROM journal
    WHERE journal.actor_id = balances.actor_id AND journal.seq = coalesce(floors.seq, 0) + 1
) AS oldest ON true
WHERE balances.actor_id > $1
ORDER BY balances.actor_id
LIMIT $2
