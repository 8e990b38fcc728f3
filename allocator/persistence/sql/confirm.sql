-- Prove that this incarnation has not been fenced; a take-over under way makes this wait.
-- $1 incarnation
SELECT 1 FROM workers WHERE incarnation = $1 AND NOT fenced FOR SHARE
