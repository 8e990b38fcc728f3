-- Say how many committed rows wait for an older transaction to end, and whose that is: a session
-- of any database of the server, or a prepared transaction. NULLs where nobody tells.
-- $1 present era  $2 how many rows to count at most
WITH oldest AS MATERIALIZED (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid
), waiting AS (
    SELECT count(*) AS events
    FROM (
        SELECT FROM journal WHERE (era, xid) >= ($1::int, (SELECT xid FROM oldest)) LIMIT $2
    ) AS unsettled
)
SELECT waiting.events, oldest.xid, session.pid, session.usename::text AS role,
       coalesce(session.datname, prepared.database)::text AS database, session.application_name,
       session.state, coalesce(session.xact_start, prepared.prepared) AS since,
       clock_timestamp() AS now, prepared.gid
FROM waiting
CROSS JOIN oldest
LEFT JOIN pg_stat_activity AS session ON session.backend_xid = oldest.xid::xid
LEFT JOIN pg_prepared_xacts AS prepared ON prepared.transaction = oldest.xid::xid
LIMIT 1
