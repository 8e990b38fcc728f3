-- What webhooks there were at a cut, with the secrets that they have now. One that was deleted since
-- has none any more: it is deleted in the copy, too.
-- $1 era and $2 xid of the cut
SELECT webhooks.name, put.body ->> 'url' AS url, put.body ->> 'warehouse' AS warehouse,
       put.body ->> 'product' AS product,
       (SELECT array_agg(each.kind) FROM json_array_elements_text(put.kinds) AS each (kind)) AS kinds,
       CASE WHEN put.body IS NOT NULL THEN webhooks.secret END AS secret,
       CASE WHEN put.body IS NOT NULL THEN webhooks.former_secret END AS former_secret,
       CASE WHEN put.body IS NOT NULL THEN webhooks.former_until END AS former_until,
       webhooks.actor_id, change.seq AS version, change.digest, webhooks.created_at
FROM webhooks
CROSS JOIN LATERAL (
    SELECT seq, digest, kind
    FROM (
        SELECT seq, digest, kind, era, xid FROM journal
        WHERE actor_id = webhooks.actor_id ORDER BY seq DESC OFFSET 0
    ) AS newest_first
    WHERE (era, xid) < ($1::int, $2::text::xid8)
    LIMIT 1
) AS change
LEFT JOIN LATERAL (
    SELECT body, CASE WHEN json_typeof(body -> 'kinds') = 'array' THEN body -> 'kinds' END AS kinds
    FROM journal
    WHERE actor_id = webhooks.actor_id AND kind = 'webhook_put' AND seq <= change.seq
      AND change.kind <> 'webhook_deleted' AND webhooks.secret IS NOT NULL
    ORDER BY seq DESC LIMIT 1
) AS put ON true
