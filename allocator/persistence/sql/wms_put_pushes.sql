-- Store numbered pushes.
-- $1 feed  $2 numbers  $3 actor ids  $4 skus  $5 time  $6 lines
INSERT INTO wms_pushes (feed, number, actor_id, sku, at, lines)
SELECT $1, push.number, push.actor_id, push.sku, $5::timestamptz, push.lines::json
FROM unnest($2::bigint[], $3::bigint[], $4::text[], $6::text[])
    AS push (number, actor_id, sku, lines)
