-- Fence incarnations; waits for their appends in flight, whose locks are the proof.
-- $1 incarnations
UPDATE workers SET fenced = true WHERE incarnation = ANY ($1::uuid[])
