-- List what an interrupted prune has left: actors with rows at or below their floor.
SELECT floors.actor_id, oldest.seq - 1 AS after, floors.seq AS up_to
FROM floors
CROSS JOIN LATERAL (
    SELECT seq FROM journal WHERE journal.actor_id = floors.actor_id ORDER BY seq LIMIT 1
) AS oldest
WHERE oldest.seq <= floors.seq
