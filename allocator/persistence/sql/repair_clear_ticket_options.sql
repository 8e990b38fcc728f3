-- Remove what is said of an actor as a ticket option.
-- $1 actor id
DELETE FROM ticket_options WHERE actor_id = $1
