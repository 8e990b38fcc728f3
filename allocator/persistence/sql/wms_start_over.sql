-- Number the pushes of a feed that is about to begin above those that its WMS knows, as it knows others
-- than ours. All of its pools are detached: of them, only the rows that did it are known on.
-- $1 feed  $2 the last number that it knows
WITH begun AS (
    UPDATE wms_feeds SET numbers = 'ours', numbered = $2, acknowledged = $2, applied = $2
    WHERE actor_id = $1 AND numbers = 'new'
    RETURNING actor_id
), pushes AS (
    DELETE FROM wms_pushes USING begun WHERE feed = begun.actor_id
), lots AS (
    DELETE FROM wms_lots USING begun WHERE feed = begun.actor_id
)
UPDATE wms_pools
SET applied = '{}', short = 0, settled = NULL,
    account = CASE WHEN account IS NOT NULL THEN json_strip_nulls(json_build_object(
        'actor_id', wms_pools.actor_id, 'turn', account -> 'turn', 'through', account -> 'through'))
    END
FROM begun WHERE feed = begun.actor_id
