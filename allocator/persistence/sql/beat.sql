-- Say that an incarnation lives; returns whether it may still write.
-- $1 incarnation
WITH beaten AS (
    UPDATE heartbeats SET at = now() WHERE incarnation = $1
)
SELECT NOT fenced AS alive FROM workers WHERE incarnation = $1
