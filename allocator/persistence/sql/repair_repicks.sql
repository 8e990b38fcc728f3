-- Note which orders got units of other lots.
-- $1 actor id  $2 seqs  $3 orders  $4 what they gave back  $5 what they got; arrays of one length
INSERT INTO repicks (actor_id, seq, order_seq, returned, added)
SELECT $1, repick.* FROM unnest($2::bigint[], $3::bigint[], $4::json[], $5::json[]) AS repick
