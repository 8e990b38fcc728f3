-- Free the shards of fenced incarnations, in the transaction that fences them: an incarnation
-- that wakes up later must not find any left to take along.
UPDATE shards SET incarnation = NULL
WHERE incarnation IN (SELECT incarnation FROM workers WHERE fenced)
