-- Add ticket options that were opened.
-- $1 actor id  $2 names  $3 descriptions  $4 allocations  $5 times; arrays of one length
INSERT INTO ticket_options (actor_id, name, description, allocation, created_at)
SELECT $1, opened.name, opened.description, opened.allocation, opened.at
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
    AS opened (name, description, allocation, at)
