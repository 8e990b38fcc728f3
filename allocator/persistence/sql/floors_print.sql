-- Sum up what has been pruned: the same text as long as it is the same.
SELECT count(*) || '-' || coalesce(sum(hashtextextended(actor_id || '.' || seq, 0)), 0) FROM floors
