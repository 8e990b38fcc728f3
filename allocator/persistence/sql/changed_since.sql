-- List the pools that have changed since a cut, each with its version at the cut.
-- $1 era and $2 xid of the cut
SELECT journal.actor_id, min(journal.seq) - 1 AS version
FROM journal JOIN pools USING (actor_id)
WHERE (journal.era, journal.xid) >= ($1::int, $2::text::xid8)
GROUP BY journal.actor_id
