-- Say how far the read models are behind, and what they say somebody has to look after. The position is compared as two scalars, so that the
-- tail's index is read from there on.
-- $1 present era
WITH position AS MATERIALIZED (
    SELECT era, xid FROM projections WHERE name = 'read models'
), waiting AS (
    SELECT era < $1 OR xid < pg_snapshot_xmin(pg_current_snapshot()) AS settled
    FROM journal
    WHERE (era, xid) > ((SELECT era FROM position), (SELECT xid FROM position))
    LIMIT 1000000
)
SELECT count(*) AS events,
       count(*) FILTER (WHERE NOT settled) AS held_back,
       (SELECT count(*) FROM quarantined_projections) AS quarantined,
       (SELECT count(*) FROM checkouts WHERE status = 'unknown') AS unknown,
       (SELECT count(*) FROM checkouts WHERE status = 'refund_due') AS refunds
FROM waiting
