-- List moves by actor; those from and to a place are looked for apart, each in its index.
-- $1 actor id after which to begin  $2 unused  $3 how many at most
-- $4 status  $5 from or to which place  $6 product; each NULL for any
SELECT * FROM (
    (SELECT * FROM moves
     WHERE $5::text IS NULL AND actor_id > $1
       AND ($4::text IS NULL OR status = $4) AND ($6::text IS NULL OR product = $6)
     ORDER BY actor_id LIMIT $3)
    UNION ALL
    (SELECT * FROM moves
     WHERE from_code = $5 AND actor_id > $1
       AND ($4::text IS NULL OR status = $4) AND ($6::text IS NULL OR product = $6)
     ORDER BY actor_id LIMIT $3)
    UNION ALL
    (SELECT * FROM moves
     WHERE to_code = $5 AND actor_id > $1
       AND ($4::text IS NULL OR status = $4) AND ($6::text IS NULL OR product = $6)
     ORDER BY actor_id LIMIT $3)
) AS wanted
WHERE $2::bigint IS NOT NULL
ORDER BY actor_id
LIMIT $3
