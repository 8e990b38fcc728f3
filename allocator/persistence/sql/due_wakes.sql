-- Find actors of some shards that want to be woken by now, the earliest first.
-- $1 now  $2 the shards  $3 how many at most
-- $4 the time and $5 the id of the actor behind which to go on
SELECT wake_at, id FROM actors
WHERE wake_at <= $1 AND id & 255 = ANY ($2::bigint[])
  AND (wake_at, id) > ($4::timestamptz, $5::bigint)
ORDER BY wake_at, id LIMIT $3
