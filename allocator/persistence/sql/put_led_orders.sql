-- Add orders of several lines; nothing is said of them yet.
-- $1 actor ids  $2 seqs  $3 versions  $4 statuses  $5 customers  $6 times of the request
-- $7 and of the end  $8 whether pools know of them  $9 whether they have ended; arrays of one length
INSERT INTO process_orders (actor_id, seq, version, status, customer, created_at, closed_at,
                            confirmed, ended)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
                     $6::timestamptz[], $7::timestamptz[], $8::boolean[], $9::boolean[])
