-- Let units of lines leave.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH parts AS (
    SELECT actor_id, (part ->> 0)::smallint AS line, sum((part ->> 1)::bigint) AS units
    FROM journal, json_array_elements(body -> 'parts') AS part
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind = 'lines_dispatched'
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    GROUP BY 1, 2
)
UPDATE process_order_lines AS lines SET dispatched = lines.dispatched + parts.units
FROM parts WHERE lines.actor_id = parts.actor_id AND lines.line = parts.line
