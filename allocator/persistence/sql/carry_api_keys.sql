-- What keys there were at a cut. One that was revoked since is not yet: see `revoked_since`.
-- OFFSET 0 keeps the thing's few rows from being looked for among all that are in the cut.
-- $1 era and $2 xid of the cut
SELECT api_keys.name, api_keys.role, api_keys.secret_digest, api_keys.actor_id,
       change.seq AS version, change.digest, api_keys.created_at,
       CASE WHEN change.seq = api_keys.version THEN api_keys.revoked_at END AS revoked_at,
       api_keys.last_used_at
FROM api_keys
CROSS JOIN LATERAL (
    SELECT seq, digest
    FROM (
        SELECT seq, digest, era, xid FROM journal
        WHERE actor_id = api_keys.actor_id ORDER BY seq DESC OFFSET 0
    ) AS newest_first
    WHERE (era, xid) < ($1::int, $2::text::xid8)
    LIMIT 1
) AS change
