-- Look at some pools of a warehouse, in order of their actors, and return what a run says of them: of
-- what no page names, nothing is orderable. Nothing is returned once another run has taken its pushes
-- in.
-- Left out are those that have followed all of it before, as they would change nothing: the figures
-- are the same, they were not short, nothing came between, and no event is known that a run has not
-- gone beyond. The last one is returned in any case, so that one can go on from there; and one in 64,
-- so that whatever went wrong is found some time.
-- $1 feed  $2 run  $3 through which push it is applied  $4 after which actor  $5 how many are looked at
WITH here AS MATERIALIZED (
    SELECT actor_id FROM pools
    WHERE warehouse = (SELECT warehouse FROM wms_feeds WHERE actor_id = $1 AND applied = $3)
      AND product IS NOT NULL AND actor_id > $4
    ORDER BY actor_id LIMIT $5
), known AS MATERIALIZED (
    SELECT here.actor_id, coalesce(its.applied, '{}') AS applied, its.account, its.short, its.settled,
           its.settled_seq
    FROM here LEFT JOIN LATERAL (
        SELECT * FROM wms_pools WHERE feed = $1 AND wms_pools.actor_id = here.actor_id
        LIMIT 1  -- or all pools of the feed would be read, from the first on, to join some of them
    ) AS its ON true
), looked_at AS MATERIALIZED (
    SELECT known.*,
           applied || coalesce((
               SELECT jsonb_object_agg(
                   code,
                   CASE WHEN run = $2 THEN orderable ELSE 0 END
                   + coalesce((applied ->> code)::bigint, 0))
               FROM wms_lots
               WHERE wms_lots.feed = $1 AND wms_lots.actor_id = known.actor_id
           ), '{}') AS figures
    FROM known
), judged AS (
    SELECT looked_at.*,
           (figures = settled
            AND short = 0
            AND coalesce((account ->> 'turn')::bigint, 0) <= settled_seq
            AND coalesce((account ->> 'changed')::bigint, 0) <= settled_seq
            AND NOT EXISTS (
                SELECT FROM wms_events
                WHERE wms_events.feed = $1 AND wms_events.actor_id = looked_at.actor_id)
            AND random() >= 1.0 / 64) IS TRUE AS is_settled
    FROM looked_at
)
SELECT actor_id, account, applied::text AS applied, figures::text AS figures,
       settled IS NOT NULL AS was_settled, settled_seq, is_settled,
       (SELECT json_agg(json_build_array(
                   code, CASE WHEN run = $2 THEN orderable ELSE 0 END,
                   (extract(epoch FROM expires_at) * 1000)::bigint,
                   (extract(epoch FROM received_at) * 1000)::bigint))::text
        FROM wms_lots
        WHERE wms_lots.feed = $1 AND wms_lots.actor_id = judged.actor_id) AS lots
FROM judged
WHERE NOT is_settled OR actor_id = (SELECT max(actor_id) FROM here)
ORDER BY actor_id
