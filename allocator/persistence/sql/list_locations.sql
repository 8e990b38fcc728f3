-- List locations by code.
-- $1 code after which to begin  $2 how many at most  $3 inside which warehouse; NULL for any
SELECT * FROM warehouses
WHERE parent IS NOT NULL AND code > $1
  AND ($3::text IS NULL OR parent = $3)
ORDER BY code
LIMIT $2
