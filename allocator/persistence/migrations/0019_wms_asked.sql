-- As of when the last run was that has asked pools anything, and which pushes it had applied: whoever says
-- something to pools has to know, though the run may have failed, and others after it that asked nobody.
-- NULL before there is one, and once its feed has ended.
ALTER TABLE wms_feeds
    ADD COLUMN settling_as_of bigint NULL,
    ADD COLUMN settling_through bigint NULL;

-- What was asked so far. Runs of a former feed have a number below the row that put it again.
UPDATE wms_feeds
SET settling_as_of = (run.body ->> 'as_of')::bigint,
    settling_through = (run.body ->> 'applied_through')::bigint
FROM journal AS run
WHERE run.actor_id = wms_feeds.actor_id AND run.seq = settling AND run.kind = 'run_begun'
  AND NOT EXISTS (
      SELECT FROM journal AS ended
      WHERE ended.actor_id = wms_feeds.actor_id AND ended.seq > settling AND ended.kind = 'feed_ended');
