-- Fence every incarnation; waits for what they have in flight.
UPDATE workers SET fenced = true WHERE NOT fenced
