-- Which pools need not be asked again when a WMS says what it said before.

-- `settled`, by batch: what can be ordered and what was applied together, when a pool had last followed
-- all of it. NULL before it is asked anything, and until it has answered. `settled_seq`: a row of the
-- pool, up to which it is known what changed it otherwise.
ALTER TABLE wms_pools
    ADD COLUMN settled jsonb NULL,
    ADD COLUMN settled_seq bigint NOT NULL DEFAULT 0;

-- `settling` is the last run of which anything was asked; only of that it is noted what was settled.
ALTER TABLE wms_feeds ADD COLUMN settling bigint NOT NULL DEFAULT 0;
