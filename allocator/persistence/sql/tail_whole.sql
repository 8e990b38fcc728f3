-- Say whether nothing behind a position has been pruned: rows are at least a day old when they are,
-- give or take a minute for clocks that disagree.
-- $1 era  $2 xid  $3 actor id  $4 seq
SELECT NOT EXISTS (SELECT FROM floors) OR EXISTS (
    SELECT FROM journal
    WHERE actor_id = $3::bigint AND seq = $4::bigint AND era = $1::int AND xid = $2::text::xid8
      AND at > (SELECT max(at) FROM floors) - interval '23:59:00'
) AS is_whole
