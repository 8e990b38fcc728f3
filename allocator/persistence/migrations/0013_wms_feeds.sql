-- What the warehouse systems (WMS) that feed warehouses have been told, and what they said.
--
-- The truth about stock is in the journals of pools. These tables say what of it a WMS has been told
-- under which number; they are not derived from the journal, as numbers never change.

-- `position` is how far the journal has been turned into pushes; it and `numbered` advance together.
-- `applied`: pushes up to this number are folded into `wms_pools`.
CREATE TABLE wms_feeds (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    warehouse text COLLATE "C" NOT NULL UNIQUE,
    position text NOT NULL,
    numbered bigint NOT NULL DEFAULT 0,
    acknowledged bigint NOT NULL DEFAULT 0,
    applied bigint NOT NULL DEFAULT 0,
    is_on boolean NOT NULL DEFAULT true,
    CHECK (applied <= numbered AND acknowledged <= numbered)
);

-- `account` is what the WMS has been told of a pool; `applied`, by batch, what of it it has applied.
-- A batch without a code is called ''. `short`: promised units that were missing when it was looked.
CREATE TABLE wms_pools (
    feed bigint NOT NULL REFERENCES wms_feeds,
    actor_id bigint NOT NULL,
    account json NULL,
    applied jsonb NOT NULL DEFAULT '{}',
    short bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (feed, actor_id)
);
CREATE INDEX wms_pools_short ON wms_pools (feed, actor_id) WHERE short > 0;

-- What is to be told, until it is applied.
CREATE TABLE wms_pushes (
    feed bigint NOT NULL REFERENCES wms_feeds,
    number bigint NOT NULL,
    actor_id bigint NOT NULL,
    sku text NOT NULL,
    at timestamptz NOT NULL,
    lines json NOT NULL,
    PRIMARY KEY (feed, number)
);
CREATE INDEX wms_pushes_pool ON wms_pushes (feed, actor_id, number);

-- What the WMS said of each batch, and in which run.
CREATE TABLE wms_lots (
    feed bigint NOT NULL REFERENCES wms_feeds,
    actor_id bigint NOT NULL,
    code text NOT NULL,
    run bigint NOT NULL,
    orderable bigint NOT NULL,
    expires_at timestamptz NULL,
    received_at timestamptz NULL,
    PRIMARY KEY (feed, actor_id, code)
);
