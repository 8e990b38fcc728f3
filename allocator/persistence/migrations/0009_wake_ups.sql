-- Who is to be woken is read page by page, in this order. Lots that expire at midnight make their
-- pools due at one and the same time, so the time alone would sort all of them for each page.
CREATE INDEX actors_due ON actors (wake_at, id) WHERE wake_at IS NOT NULL;
DROP INDEX actors_wake_at;
