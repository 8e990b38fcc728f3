-- Return as of when something was told of batches by themselves.
-- $1 feed  $2 actor ids  $3 codes, '' for none
SELECT actor_id, code, as_of
FROM wms_events JOIN unnest($2::bigint[], $3::text[]) AS batch (actor_id, code)
    USING (actor_id, code)
WHERE feed = $1
