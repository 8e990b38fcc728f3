-- Close orders.
-- $1 actor id  $2 seqs  $3 statuses  $4 times; arrays of one length
UPDATE orders SET status = ends.status, closed_at = ends.at
FROM unnest($2::bigint[], $3::text[], $4::timestamptz[]) AS ends (seq, status, at)
WHERE orders.actor_id = $1 AND orders.seq = ends.seq
