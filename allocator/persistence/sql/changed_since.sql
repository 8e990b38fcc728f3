-- List the pools that have changed since a cut, each with its version at the cut, and the processes
-- that there were then and have changed. No others want to be woken at another time than now.
-- $1 era and $2 xid of the cut
SELECT journal.actor_id, min(journal.seq) - 1 AS version
FROM journal
JOIN actors ON actors.id = journal.actor_id
           AND actors.kind NOT IN ('warehouse', 'product', 'api_key', 'webhook')
WHERE (journal.era, journal.xid) >= ($1::int, $2::text::xid8)
GROUP BY journal.actor_id, actors.kind
HAVING actors.kind = 'pool' OR min(journal.seq) > 1
