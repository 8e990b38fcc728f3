-- Add the ticket options that were opened.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
INSERT INTO ticket_options (actor_id, name, description, allocation, created_at)
SELECT actor_id, body ->> 'name', body ->> 'desc', (body ->> 'allocation')::bigint, at
FROM journal
WHERE era = $1 AND xid > $2 AND xid <= $3
  AND kind = 'ticket_option_opened'
  AND ($4::bigint IS NULL OR actor_id = $4)
  AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
