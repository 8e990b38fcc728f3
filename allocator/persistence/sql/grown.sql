-- Return which of some tables have more than doubled since PostgreSQL counted them: it plans as if they
-- were what they were then, until it counts them by itself within a minute or so.
-- $1 tables
SELECT relname FROM pg_class
WHERE oid = ANY ($1::text[]::regclass[])
  AND pg_relation_size(oid) > (2 * relpages + 16) * current_setting('block_size')::bigint
