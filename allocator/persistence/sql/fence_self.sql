-- Fence an incarnation; waits for its append in flight, whose lock is the proof.
-- $1 incarnation
UPDATE workers SET fenced = true WHERE incarnation = $1
