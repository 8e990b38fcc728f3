-- Store how far the read models have come.
-- $1 era  $2 xid  $3 events applied
UPDATE projections SET era = $1, xid = $2, events = events + $3 WHERE name = 'read models'
