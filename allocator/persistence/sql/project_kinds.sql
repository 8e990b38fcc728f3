-- List the kinds of the rows of a batch.
-- $1 era  $2 after xid  $3 up to xid
SELECT DISTINCT kind FROM journal
WHERE era = $1 AND xid > $2 AND xid <= $3
