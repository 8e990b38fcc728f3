-- Say who serves what: in one row, the living workers of a server, oldest first, as three arrays
-- of one length; the one of them that owns each shard, or ''; and whether another server's does.
-- $1 own incarnation, which lives unless it is fenced  $2 own server
-- $3 milliseconds without a heartbeat that count as dead, NULL to count all that are unfenced
WITH living AS MATERIALIZED (
    SELECT incarnation, name, address, server, started_at
    FROM workers LEFT JOIN heartbeats USING (incarnation)
    WHERE NOT fenced
      AND (incarnation = $1 OR $3::bigint IS NULL
           OR heartbeats.at > now() - $3 * interval '1 millisecond')
), peers AS (
    SELECT coalesce(array_agg(incarnation::text ORDER BY started_at, incarnation), '{}')
               AS incarnations,
           coalesce(array_agg(name ORDER BY started_at, incarnation), '{}') AS names,
           coalesce(array_agg(address ORDER BY started_at, incarnation), '{}') AS addresses
    FROM living WHERE server = $2
), owned AS (
    SELECT array_agg(CASE WHEN server = $2 THEN incarnation::text ELSE '' END ORDER BY id)
               AS owners,
           coalesce(bool_or(server <> $2), false) AS "foreign"
    FROM shards LEFT JOIN living USING (incarnation)
)
SELECT incarnations, names, addresses, owners, "foreign" FROM peers, owned
