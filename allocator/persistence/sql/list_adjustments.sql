-- List adjustments by address, from the journal itself. Those that a rule made, because units left
-- that were recalled, are among them.
-- $1 actor id and $2 seq after which to begin  $3 how many at most
-- $4 warehouse  $5 product; each NULL for any
SELECT journal.actor_id, journal.seq, journal.at, journal.version, journal.body, journal.principal,
       pools.warehouse, coalesce(journal.body ->> 'product', pools.product) AS product
FROM journal JOIN pools USING (actor_id)
WHERE journal.kind = 'units_adjusted'
  AND (journal.actor_id, journal.seq) > ($1, $2)
  AND ($4::text IS NULL OR pools.warehouse = $4)
  AND ($5::text IS NULL OR coalesce(journal.body ->> 'product', pools.product) = $5)
ORDER BY journal.actor_id, journal.seq
LIMIT $3
