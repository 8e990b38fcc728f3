-- The spine: installation, actors, journal, snapshots, ownership, catalogue, read models.

-- One row. The secret seals ids and travels with exports; the era numbers the clusters that the
-- journal has lived in, because transaction ids mean nothing outside their own cluster.
CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id_secret bytea NOT NULL,
    system_identifier bigint NOT NULL,
    era int NOT NULL
);

-- Numbers for actors; an actor's id is number << 8 | shard.
CREATE SEQUENCE actor_numbers;

CREATE TABLE actors (
    id bigint PRIMARY KEY,
    kind text NOT NULL,
    key text NOT NULL UNIQUE,
    wake_at timestamptz NULL
);
CREATE INDEX actors_wake_at ON actors (wake_at) WHERE wake_at IS NOT NULL;

-- The truth. Append-only. The primary key is the last lock between two writers; no foreign key,
-- no trigger and no second unique index, for an append must not fail for anything else.
CREATE TABLE journal (
    actor_id bigint NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    era int NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    version smallint NOT NULL,
    kind text NOT NULL,
    principal text NOT NULL DEFAULT '',
    idempotency_key text NULL,
    request_digest bytea NULL,
    digest bytea NOT NULL,
    body json NOT NULL,
    PRIMARY KEY (actor_id, seq)
);
-- Consumers read in commit order: everything of a transaction below the oldest running one.
CREATE INDEX journal_tail ON journal (era, xid);
-- Not unique: the actor is the lock, and a violation would cost the whole append.
CREATE INDEX journal_keys ON journal (idempotency_key, principal)
    WHERE idempotency_key IS NOT NULL;
-- Rows are never updated: vacuum only has to keep the visibility map for index-only scans.
ALTER TABLE journal SET (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Disposable: the journal can make them again.
CREATE TABLE snapshots (
    actor_id bigint NOT NULL REFERENCES actors,
    seq bigint NOT NULL,
    schema_version smallint NOT NULL,
    state bytea NOT NULL,
    digest bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor_id, seq)
);

-- Lives of worker processes. Every append share-locks its own row here; fencing it waits.
CREATE TABLE workers (
    incarnation uuid PRIMARY KEY,
    name text NOT NULL,
    address text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    fenced boolean NOT NULL DEFAULT false
);
-- A table of its own: an update of a workers row would wait for appends, and they for it.
CREATE TABLE heartbeats (
    incarnation uuid PRIMARY KEY REFERENCES workers ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shards (
    id smallint PRIMARY KEY CHECK (id BETWEEN 0 AND 255),
    incarnation uuid NULL REFERENCES workers
);
INSERT INTO shards (id) SELECT generate_series(0, 255);

-- The catalogue: ordinary tables; every change writes a row of the thing's own journal as well.
CREATE TABLE warehouses (
    code text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    actor_id bigint NOT NULL UNIQUE REFERENCES actors,
    version bigint NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE products (
    sku text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    price_amount bigint NULL CHECK (price_amount >= 0),
    price_currency text NULL,
    actor_id bigint NOT NULL UNIQUE REFERENCES actors,
    version bigint NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK ((price_amount IS NULL) = (price_currency IS NULL))
);
-- Which pair an actor of kind pool is.
CREATE TABLE pools (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    warehouse text COLLATE "C" NOT NULL REFERENCES warehouses,
    product text COLLATE "C" NOT NULL REFERENCES products,
    UNIQUE (warehouse, product)
);
CREATE INDEX pools_product ON pools (product);

-- Read models, derived from the journal by the projection; they may be dropped and rebuilt.
-- The projection has applied every transaction of its era up to and including xid.
CREATE TABLE projections (
    name text PRIMARY KEY,
    era int NOT NULL,
    xid xid8 NOT NULL,
    events bigint NOT NULL DEFAULT 0
);
INSERT INTO projections (name, era, xid) VALUES ('read models', 0, '0');
CREATE TABLE quarantined_projections (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    era int NOT NULL,
    xid xid8 NOT NULL,
    error text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE orders (
    actor_id bigint NOT NULL,
    seq bigint NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    created_at timestamptz NOT NULL,
    closed_at timestamptz NULL,
    status text NOT NULL CHECK (status IN ('new', 'dispatched', 'cancelled')),
    customer text NULL,
    picks json NOT NULL,
    PRIMARY KEY (actor_id, seq)
);
CREATE INDEX orders_customer ON orders (customer, actor_id, seq) WHERE customer IS NOT NULL;
CREATE TABLE stocks (
    actor_id bigint NOT NULL REFERENCES actors,
    seq bigint NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    available bigint NOT NULL CHECK (available >= 0),
    on_hand bigint NOT NULL CHECK (on_hand >= available),
    received_at timestamptz NOT NULL,
    expires_at timestamptz NULL,
    lot text NULL,
    reference text NULL,
    PRIMARY KEY (actor_id, seq)
);
CREATE TABLE balances (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    version bigint NOT NULL,
    available bigint NOT NULL CHECK (available >= 0),
    ordered bigint NOT NULL CHECK (ordered >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    expired bigint NOT NULL DEFAULT 0 CHECK (expired >= 0)
);
