-- Make the read models empty and their position the beginning: they are rebuilt from the journal.
-- The position first, as the projection does it: in another order the two would deadlock.
UPDATE projections SET era = 0, xid = '0', events = 0 WHERE name = 'read models';
TRUNCATE orders, stocks, balances, ticket_options, moves, process_orders, process_order_lines,
         carts, checkouts, repicks, quarantined_projections
