-- Find processes of whose units the places do not say what they say themselves, at one moment: those
-- for which it is not certain at a look. The texts of lots are compared, which are as they were
-- written. Of what has been pruned nothing is said: a move with a floor, or one of whose places has.
WITH said AS (
    SELECT CASE WHEN kind IN ('units_sent', 'units_taken')
                THEN substring(body ->> 'process' FROM '^[0-9]{1,18}$')::bigint
                ELSE actor_id END AS process,
           actor_id, seq, kind, body
    FROM journal
    WHERE kind IN ('units_sent', 'units_taken', 'move_requested', 'move_sent', 'move_done',
                   'move_refused')
), told AS (
    SELECT process,
           (array_agg(body) FILTER (WHERE kind = 'move_requested'))[1] AS request,
           count(*) FILTER (WHERE kind = 'units_sent') AS departures,
           max(actor_id) FILTER (WHERE kind = 'units_sent') AS source,
           max(body ->> 'lots') FILTER (WHERE kind = 'units_sent') AS departed,
           max(body ->> 'lots') FILTER (WHERE kind = 'move_sent') AS sent,
           min(actor_id) FILTER (WHERE kind = 'units_taken') AS destination,
           count(DISTINCT actor_id) FILTER (WHERE kind = 'units_taken') AS destinations,
           '[' || string_agg(body ->> 'lot', ',' ORDER BY actor_id, seq)
               FILTER (WHERE kind = 'units_taken') || ']' AS arrived,
           bool_or(kind = 'move_done') AS is_done,
           bool_or(kind = 'move_refused') AS is_refused
    FROM said
    GROUP BY process
), placed AS (
    SELECT told.*, (request ->> 'source')::bigint AS from_actor,
           (request ->> 'destination')::bigint AS to_actor
    FROM told
)
SELECT process, from_actor, to_actor, departures, source, departed, sent, destination, destinations,
       arrived, is_done, is_refused,
       EXISTS (SELECT FROM floors WHERE actor_id = from_actor) AS source_is_pruned,
       EXISTS (SELECT FROM floors WHERE actor_id = to_actor) AS destination_is_pruned
FROM placed
WHERE NOT EXISTS (SELECT FROM floors WHERE actor_id = process)
  AND (from_actor IS NOT NULL AND departures <= 1 AND destinations <= 1
       AND coalesce(source = from_actor, true) AND coalesce(destination = to_actor, true)
       AND CASE WHEN is_refused THEN departed IS NULL AND sent IS NULL AND arrived IS NULL
                WHEN sent IS NULL THEN arrived IS NULL AND NOT is_done
                WHEN is_done THEN departed = sent AND arrived = sent
                ELSE departed = sent AND arrived IS NULL END) IS NOT TRUE
ORDER BY process
