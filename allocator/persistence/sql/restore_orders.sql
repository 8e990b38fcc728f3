-- Open orders again that were open at a floor and were closed above it.
-- $1 actor id  $2 their seqs  $3 what each held, as JSON
UPDATE orders SET status = 'new', closed_at = NULL, picks = former.picks
FROM unnest($2::bigint[], $3::text[]::json[]) AS former (seq, picks)
WHERE orders.actor_id = $1 AND orders.seq = former.seq AND orders.status <> 'new'
