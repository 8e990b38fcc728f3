-- Locations: warehouses inside others. What routes (parent, single_product) never changes.
ALTER TABLE warehouses
    ADD COLUMN parent text COLLATE "C" NULL REFERENCES warehouses,
    ADD COLUMN single_product boolean NOT NULL DEFAULT false,
    ADD CHECK (parent IS NOT NULL OR NOT single_product);
CREATE INDEX warehouses_parent ON warehouses (parent, code) WHERE parent IS NOT NULL;

-- A location that holds one product at a time is one pool; which product that is, its rows say.
ALTER TABLE pools ALTER COLUMN product DROP NOT NULL;
CREATE UNIQUE INDEX pools_single_product ON pools (warehouse) WHERE product IS NULL;

-- Of what product a row is, where the pool does not say; NULL elsewhere. Of a balance, it is the one
-- that came last, and may have left.
ALTER TABLE orders ADD COLUMN product text COLLATE "C" NULL;
ALTER TABLE balances ADD COLUMN product text COLLATE "C" NULL;
CREATE INDEX balances_product ON balances (product) WHERE product IS NOT NULL;
-- And the stock elsewhere that it was part of, if it was moved here.
ALTER TABLE stocks
    ADD COLUMN product text COLLATE "C" NULL,
    ADD COLUMN origin_actor_id bigint NULL,
    ADD COLUMN origin_seq bigint NULL,
    ADD CHECK ((origin_actor_id IS NULL) = (origin_seq IS NULL));

-- Moves, derived from the journal of each.
CREATE TABLE moves (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    version bigint NOT NULL,
    product text COLLATE "C" NOT NULL,
    from_code text COLLATE "C" NOT NULL,
    to_code text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    status text NOT NULL CHECK (status IN ('in_transit', 'done', 'refused')),
    requested_at timestamptz NOT NULL,
    decided_at timestamptz NULL CHECK ((decided_at IS NULL) = (status = 'in_transit')),
    lots json NOT NULL DEFAULT '[]',
    reason json NULL CHECK ((reason IS NOT NULL) = (status = 'refused')),
    ended boolean NOT NULL DEFAULT false
);
CREATE INDEX moves_from ON moves (from_code, actor_id);
CREATE INDEX moves_to ON moves (to_code, actor_id);
CREATE INDEX moves_product ON moves (product, actor_id);
-- Few at any time, and whoever looks for one that is stuck looks among these.
CREATE INDEX moves_in_transit ON moves (actor_id) WHERE status = 'in_transit';
