-- List the pools whose newest snapshot, or else their floor, is far behind. A large state is folded
-- less often: its snapshot must not cost more than replaying what it saves.
-- $1 events that make a snapshot due  $2 how many pools at most
SELECT balances.actor_id
FROM balances
LEFT JOIN LATERAL (
    SELECT seq, octet_length(state) AS bytes FROM snapshots
    WHERE snapshots.actor_id = balances.actor_id ORDER BY seq DESC LIMIT 1
) AS newest ON true
LEFT JOIN floors ON floors.actor_id = balances.actor_id
CROSS JOIN LATERAL (
    SELECT balances.version - greatest(newest.seq, floors.seq, 0) AS events
) AS behind
WHERE behind.events >= greatest($1, newest.bytes / 32)
ORDER BY behind.events DESC
LIMIT $2
