-- Take numbers for actors that may come into being; what is not used is lost, and nobody minds.
-- $1 how many
SELECT nextval('actor_numbers') AS number FROM generate_series(1, $1::int)
