-- List the dead letters of a webhook that somebody wants tried again.
-- $1 name  $2 how many
SELECT * FROM webhook_dead_letters WHERE name = $1 AND again ORDER BY number LIMIT $2
