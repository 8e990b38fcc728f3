-- Add what happened to moves, which often begin and end in one batch. Returns how many events that was.
-- A version that does not follow from the former one and the number of events is a gap or a
-- repetition: it becomes NULL, which the table refuses.
-- $1 era  $2 after xid  $3 up to xid  $4 only this actor, or NULL for all that are not quarantined
WITH sums AS (
    SELECT actor_id,
           count(*) AS events,
           max(seq) AS version,
           max(at) FILTER (WHERE kind = 'move_requested') AS requested_at,
           (array_agg(body) FILTER (WHERE kind = 'move_requested'))[1] AS request,
           (array_agg(body -> 'lots') FILTER (WHERE kind = 'move_sent'))[1] AS lots,
           (array_agg(body -> 'reason') FILTER (WHERE kind = 'move_refused'))[1] AS reason,
           max(substr(kind, 6)) FILTER (WHERE kind IN ('move_done', 'move_refused')) AS decision,
           max(at) FILTER (WHERE kind IN ('move_done', 'move_refused')) AS decided_at,
           bool_or(kind = 'move_ended') AS ended
    FROM journal
    WHERE era = $1 AND xid > $2 AND xid <= $3
      AND kind IN ('move_requested', 'move_expected', 'move_sent', 'move_done', 'move_refused',
                   'move_ended')
      AND ($4::bigint IS NULL OR actor_id = $4)
      AND actor_id NOT IN (SELECT actor_id FROM quarantined_projections)
    GROUP BY actor_id
), known AS (
    UPDATE moves SET
        version = CASE WHEN sums.version = moves.version + sums.events THEN sums.version END,
        lots = coalesce(sums.lots, moves.lots),
        status = coalesce(sums.decision, moves.status),
        decided_at = coalesce(sums.decided_at, moves.decided_at),
        reason = coalesce(sums.reason, moves.reason),
        ended = moves.ended OR sums.ended
    FROM sums WHERE moves.actor_id = sums.actor_id
    RETURNING moves.actor_id
), begun AS (
    INSERT INTO moves (actor_id, version, product, from_code, to_code, quantity, status,
                       requested_at, decided_at, lots, reason, ended)
    SELECT actor_id, CASE WHEN version = events THEN version END, request ->> 'product',
           request ->> 'from_code', request ->> 'to_code', (request ->> 'quantity')::bigint,
           coalesce(decision, 'in_transit'), requested_at, decided_at, coalesce(lots, '[]'),
           reason, ended
    FROM sums WHERE actor_id NOT IN (SELECT actor_id FROM known)
)
SELECT coalesce(sum(events), 0)::bigint FROM sums
