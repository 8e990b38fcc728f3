-- Add units that were found to the stocks that they are of.
-- $1 actor id  $2 seqs of stocks, none twice  $3 units; arrays of one length
UPDATE stocks SET quantity = quantity + found.units
FROM unnest($2::bigint[], $3::bigint[]) AS found (seq, units)
WHERE stocks.actor_id = $1 AND stocks.seq = found.seq
