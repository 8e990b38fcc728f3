-- Make lines of the journal's rows, in the order in which they were committed.
-- The body stands as it is stored, to the byte. One that is no object in one line, and with nothing
-- around it, becomes a string.
-- $1 era  $2 xid  $3 actor id  $4 seq after which to begin  $5 era and $6 xid of the cut
-- $7 how many at most  $8 whether nothing was ever pruned: rows below a floor are no history
SELECT '{"era":' || era || ',"xid":' || xid::text || ',"actor_id":' || actor_id || ',"seq":' || seq
       || ',"at_ms":' || round(date_part('epoch', at) * 1000)::bigint
       || ',"kind":' || to_json(kind)::text || ',"version":' || version
       || ',"digest":"' || encode(digest, 'hex') || '"'
       || CASE WHEN principal = '' THEN '' ELSE ',"principal":' || to_json(principal)::text END
       || coalesce(',"idempotency_key":' || to_json(idempotency_key)::text, '')
       || coalesce(',"request_digest":"' || encode(request_digest, 'hex') || '"', '')
       || CASE WHEN body::text LIKE '{%}' AND strpos(body::text, E'\n') + strpos(body::text, E'\r') = 0
               THEN ',"body":' || body::text ELSE ',"text":' || to_json(body::text)::text END || '}'
FROM journal
WHERE (era, xid, actor_id, seq) > ($1::int, $2::text::xid8, $3::bigint, $4::bigint)
  AND (era, xid) < ($5::int, $6::text::xid8)
  AND ($8::boolean OR NOT EXISTS (
    SELECT FROM floors WHERE floors.actor_id = journal.actor_id AND floors.seq >= journal.seq))
ORDER BY era, xid, actor_id, seq
LIMIT $7::bigint
