-- Keep an incarnation from being fenced until this transaction ends; no row if it is already.
-- $1 incarnation
SELECT 1 FROM workers WHERE incarnation = $1 AND NOT fenced FOR SHARE
