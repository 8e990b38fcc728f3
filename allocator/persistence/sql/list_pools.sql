-- List pools by actor: how far the journal of each goes, and where its newest snapshot stands.
-- $1 actor id after which to begin  $2 how many at most  $3 the schema version that we can read
SELECT pools.actor_id, concat_ws('/', pools.warehouse, pools.product) AS name,
       coalesce((SELECT max(seq) FROM journal WHERE journal.actor_id = pools.actor_id), 0) AS head,
       coalesce((SELECT max(seq) FROM snapshots
                 WHERE snapshots.actor_id = pools.actor_id AND schema_version = $3), 0) AS snapshot
FROM pools
WHERE pools.actor_id > $1
ORDER BY pools.actor_id
LIMIT $2
