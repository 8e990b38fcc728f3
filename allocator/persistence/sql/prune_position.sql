-- Say which of this installation's own readers of the journal is slowest, and up to which
-- transaction it has seen everything: what it has not seen must not be pruned. The position of
-- a webhook or a feed is a row, whose transaction may have others behind it.
WITH readers AS (
    SELECT 'the projection of the ' || name AS reader, era, xid::text::numeric AS xid
    FROM projections
    UNION ALL
    SELECT 'webhook ' || name, split_part(position, '.', 1)::int,
           greatest(split_part(position, '.', 2)::numeric - 1, 0)
    FROM webhook_deliveries JOIN webhooks USING (name)
    WHERE url IS NOT NULL
    UNION ALL
    SELECT 'feed of ' || warehouse, split_part(position, '.', 1)::int,
           greatest(split_part(position, '.', 2)::numeric - 1, 0)
    FROM wms_feeds
    WHERE is_on
)
SELECT reader, era, xid::text AS xid, now() AS now FROM readers ORDER BY era, readers.xid LIMIT 1
