-- End the sessions of incarnations whose client may have died between two protocol messages:
-- such a session keeps its lock for ever. Their writers find out and repair themselves.
-- $1 incarnations, as text
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = ANY ($1::text[]) AND pid <> pg_backend_pid()
