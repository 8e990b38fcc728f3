-- Read what orders of several lines and carts say, and what pools say of them, process by process and
-- actor by actor, as it is at one moment: all there is to compare of the two. Of an order that a
-- process leads a pool says its number alone; whose it is, it said when it was confirmed. Of a process
-- that has been pruned nothing is said: it had ended, and was proved then.
-- $1 part  $2 of how many parts, so that several can read beside each other
WITH led AS MATERIALIZED (
    SELECT actor_id, substring(body ->> 'order' FROM '^[0-9]{1,18}$')::bigint AS number,
           substring(body ->> 'process' FROM '^[0-9]{1,18}$')::bigint AS process
    FROM journal
    WHERE kind = 'hold_confirmed'
), said AS (
    SELECT actor_id AS process, actor_id, seq, at, kind, version, body
    FROM journal
    WHERE kind IN ('order_requested', 'order_accepted', 'order_declined', 'lines_dispatched',
                   'lines_cancelled', 'lines_settled', 'cart_opened', 'line_wanted', 'line_held',
                   'line_refused', 'cart_closed', 'cart_expired', 'cart_ended', 'checkout_begun',
                   'checkout_paid', 'checkout_failed', 'checkout_unknown', 'refund_due')
    UNION ALL
    SELECT coalesce(substring(body ->> 'process' FROM '^[0-9]{1,18}$')::bigint, 0), actor_id, seq, at,
           kind, version, body
    FROM journal
    WHERE kind IN ('units_held', 'hold_refused', 'hold_confirmed', 'process_let_go')
    UNION ALL
    SELECT led.process, ended.actor_id, ended.seq, ended.at, ended.kind, ended.version, ended.body
    FROM journal AS ended
    JOIN led ON led.actor_id = ended.actor_id
            AND led.number = substring(ended.body ->> 'order' FROM '^[0-9]{1,18}$')::bigint
    WHERE ended.kind IN ('order_dispatched', 'order_cancelled', 'order_partly_dispatched')
)
SELECT said.process, coalesce(actors.kind, 'actor') AS process_kind, said.actor_id, said.seq,
       said.at, said.kind, said.version, said.body
FROM said
LEFT JOIN actors ON actors.id = said.process
WHERE (said.process >> 8) % $2::int = $1::int
  AND NOT (actors.kind IS NOT DISTINCT FROM 'move' AND said.kind = 'process_let_go')
  AND NOT EXISTS (SELECT FROM floors WHERE floors.actor_id = said.process)
ORDER BY said.process, said.actor_id, said.seq
