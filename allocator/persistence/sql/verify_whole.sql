-- Say what has to fit together in the installation itself. The projection may have come as far as
-- transactions that have ended, and no further.
-- $1 present era
SELECT (SELECT count(*) FROM shards) AS shards,
       (SELECT last_value FROM actor_numbers) AS last_number,
       (SELECT coalesce(max(id) >> 8, 0) FROM actors) AS greatest_number,
       (SELECT count(*) FROM projections WHERE name = 'read models') AS positions,
       (SELECT count(*) FROM projections
        WHERE name = 'read models'
          AND (era > $1 OR era = $1 AND xid >= pg_snapshot_xmax(pg_current_snapshot()))) AS ahead
