-- Make the read models empty and their position the beginning: they are rebuilt from the journal.
TRUNCATE orders, stocks, balances, quarantined_projections;
UPDATE projections SET era = 0, xid = '0', events = 0 WHERE name = 'read models'
