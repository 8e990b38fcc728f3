-- Count committed rows that a cut lacks, of transactions below another.
-- $1 era and $2 xid of the cut  $3 the other transaction
SELECT count(*) FROM journal WHERE era = $1 AND xid >= $2::text::xid8 AND xid < $3::text::xid8
