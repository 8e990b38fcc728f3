-- Say how long the journals of the next actors are: a look at the primary key for each.
-- $1 actor id after which to begin  $2 how many at most
SELECT actors.id,
       coalesce((SELECT max(seq) FROM journal WHERE journal.actor_id = actors.id), 0)
           - coalesce((SELECT seq FROM floors WHERE floors.actor_id = actors.id), 0) AS events
FROM actors WHERE id > $1 ORDER BY id LIMIT $2
