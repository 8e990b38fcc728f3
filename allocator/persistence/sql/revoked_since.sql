-- List the keys of a cut that have been revoked since: nobody wants to let them in again.
-- $1 era and $2 xid of the cut
SELECT api_keys.name
FROM api_keys
JOIN journal AS revocation
    ON revocation.actor_id = api_keys.actor_id AND revocation.seq = api_keys.version
JOIN journal AS creation ON creation.actor_id = api_keys.actor_id AND creation.seq = 1
WHERE api_keys.revoked_at IS NOT NULL
  AND (revocation.era, revocation.xid) >= ($1::int, $2::text::xid8)
  AND (creation.era, creation.xid) < ($1::int, $2::text::xid8)
ORDER BY api_keys.name
