-- Put the rows of moves to what their states say.
-- $1 actor ids  $2 versions  $3 products  $4 and $5 codes of the places  $6 quantities  $7 statuses
-- $8 times of the request  $9 and of the decision  $10 lots  $11 reasons  $12 whether they have
-- ended; arrays of one length
INSERT INTO moves (actor_id, version, product, from_code, to_code, quantity, status, requested_at,
                   decided_at, lots, reason, ended)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                     $7::text[], $8::timestamptz[], $9::timestamptz[], $10::text[]::json[],
                     $11::text[]::json[], $12::boolean[])
ON CONFLICT (actor_id) DO UPDATE
SET version = excluded.version, product = excluded.product, from_code = excluded.from_code,
    to_code = excluded.to_code, quantity = excluded.quantity, status = excluded.status,
    requested_at = excluded.requested_at, decided_at = excluded.decided_at, lots = excluded.lots,
    reason = excluded.reason, ended = excluded.ended
