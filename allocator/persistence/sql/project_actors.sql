-- List the actors of a batch that are not quarantined.
-- $1 era  $2 after xid  $3 up to xid
SELECT DISTINCT actor_id FROM journal
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
ORDER BY actor_id
