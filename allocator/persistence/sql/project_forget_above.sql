-- Take the read models back to what floors hold, as far as their rows say so by themselves: what
-- came of rows above a floor is forgotten, and of rows that an interrupted prune has left below
-- one nothing must be made a second time. `restore_*` puts the rest back.
-- The position first, as the projection does it: in another order the two would deadlock.
UPDATE projections SET era = 0, xid = '0', events = 0 WHERE name = 'read models';
TRUNCATE balances, ticket_options, moves, process_orders, process_order_lines,
         carts, checkouts, quarantined_projections;
DELETE FROM orders WHERE NOT EXISTS (
    SELECT FROM floors WHERE floors.actor_id = orders.actor_id AND floors.seq >= orders.seq);
DELETE FROM stocks WHERE NOT EXISTS (
    SELECT FROM floors WHERE floors.actor_id = stocks.actor_id AND floors.seq >= stocks.seq);
DELETE FROM repicks WHERE NOT EXISTS (
    SELECT FROM floors WHERE floors.actor_id = repicks.actor_id AND floors.seq >= repicks.seq);
DELETE FROM journal USING floors
WHERE journal.actor_id = floors.actor_id AND journal.seq <= floors.seq
