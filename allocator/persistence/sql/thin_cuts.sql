-- Keep of each minute the last cut once it is a week old, and of each hour once it is 90 days old.
-- $1 how many to remove at most
DELETE FROM cuts
WHERE at IN (
    SELECT at
    FROM (
        SELECT at, lead(at) OVER (ORDER BY at) AS next,
               CASE WHEN at < now() - interval '90 days' THEN 'hour' ELSE 'minute' END AS unit
        FROM cuts
        WHERE at < now() - interval '7 days'
    ) AS old
    WHERE date_trunc(unit, at) = date_trunc(unit, next)
    LIMIT $1)
