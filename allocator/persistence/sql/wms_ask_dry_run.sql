-- Have it be found out what a run would change, unless that is under way; it is given up after a while.
-- $1 feed  $2 time  $3 from when on one that is under way is as good
-- Returns when it was asked for. It always writes: what somebody else is just asking, a mere look
-- would not see. Times ascend, so that whoever has not looked yet sees that there is a newer answer.
INSERT INTO wms_dry_runs AS known (feed, asked_at) VALUES ($1, $2)
ON CONFLICT (feed) DO UPDATE SET
    asked_at = CASE
        WHEN known.answer IS NOT NULL OR known.asked_at < $3
            THEN greatest(excluded.asked_at, known.asked_at + interval '1 millisecond')
        ELSE known.asked_at
    END,
    answer = NULL
RETURNING asked_at
