-- Sum up what lies behind a cut, by kind and by who asked for it.
-- $1 era and $2 xid of the cut
SELECT kind, principal, count(*) AS events, min(at) AS first_at, max(at) AS last_at
FROM journal
WHERE (era, xid) >= ($1::int, $2::text::xid8)
GROUP BY kind, principal
ORDER BY events DESC, kind, principal
