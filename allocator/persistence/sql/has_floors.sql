-- Say whether anything was ever pruned.
SELECT EXISTS (SELECT FROM floors)
