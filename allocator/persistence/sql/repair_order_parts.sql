-- Let units of orders leave while others stay.
-- $1 actor id  $2 seqs  $3 how many stay in the end; arrays of one length
UPDATE orders SET status = 'partly_dispatched', dispatched = orders.quantity - parts.units
FROM unnest($2::bigint[], $3::bigint[]) AS parts (seq, units)
WHERE orders.actor_id = $1 AND orders.seq = parts.seq
