-- List the journal's indexes but for its primary key.
SELECT pg_get_indexdef(indexrelid) AS definition, indexrelid::regclass::text AS name
FROM pg_index WHERE indrelid = 'journal'::regclass AND NOT indisprimary
