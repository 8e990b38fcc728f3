-- Have it be found out what a run would change, unless that is under way; it is given up after a while.
-- $1 feed  $2 time  $3 from when on one that is under way is as good
-- Returns when it was asked for.
WITH asked AS (
    INSERT INTO wms_dry_runs AS known (feed, asked_at) VALUES ($1, $2)
    ON CONFLICT (feed) DO UPDATE SET asked_at = excluded.asked_at, answer = NULL
    WHERE known.answer IS NOT NULL OR known.asked_at < $3
    RETURNING asked_at
)
SELECT asked_at FROM asked
UNION ALL SELECT asked_at FROM wms_dry_runs WHERE feed = $1 AND NOT EXISTS (SELECT 1 FROM asked)
