-- Find actors that want to be woken by now.
-- $1 now  $2 how many at most
SELECT id FROM actors WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2
