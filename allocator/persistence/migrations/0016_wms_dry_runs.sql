-- What a run of a warehouse system (WMS) would change, for somebody who asks: the owner of the feed finds
-- out, whichever worker was asked. One of a feed at a time; `answer` is null until it is known.
CREATE TABLE wms_dry_runs (
    feed bigint PRIMARY KEY REFERENCES wms_feeds,
    asked_at timestamptz NOT NULL,
    answer json NULL
);
