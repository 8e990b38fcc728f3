-- Say what is committed now: everything below `xmax`, but for what is running.
SELECT split_part(now::text, ':', 2)::bigint AS xmax,
       coalesce(string_to_array(nullif(split_part(now::text, ':', 3), ''), ',')::bigint[], '{}')
           AS running
FROM pg_current_snapshot() AS now
