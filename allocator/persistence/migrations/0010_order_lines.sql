-- Orders of several lines, and those of one of which units have left while others stay.

-- How many left before the last ones did; NULL for none. The checks are not made of what is there:
-- it has kept stricter ones.
ALTER TABLE orders
    ADD COLUMN dispatched bigint NULL,
    ADD CONSTRAINT orders_dispatched_check
        CHECK (dispatched > 0 AND dispatched < quantity) NOT VALID,
    DROP CONSTRAINT orders_status_check,
    ADD CONSTRAINT orders_status_check
        CHECK (status IN ('new', 'partly_dispatched', 'dispatched', 'cancelled')) NOT VALID;

-- Derived from the journal of the process that leads each order; `seq` is of the event that its id
-- is the address of. One that is only requested, or was declined, is here for its version alone.
-- `confirmed`: its pools have made orders of what they held; `ended`: nothing will happen to it any
-- more.
CREATE TABLE process_orders (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('requested', 'declined', 'new', 'partly_dispatched',
                                           'dispatched', 'cancelled')),
    customer text NULL,
    created_at timestamptz NOT NULL,
    closed_at timestamptz NULL,
    confirmed boolean NOT NULL,
    ended boolean NOT NULL
);
CREATE INDEX process_orders_customer ON process_orders (customer, actor_id)
    WHERE customer IS NOT NULL;
-- The lines of those that were accepted. `pool_order` is the number of the order in the pool.
CREATE TABLE process_order_lines (
    actor_id bigint NOT NULL,
    line smallint NOT NULL CHECK (line >= 0),
    pool bigint NOT NULL,
    pool_order bigint NOT NULL,
    warehouse text COLLATE "C" NOT NULL,
    product text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    dispatched bigint NOT NULL DEFAULT 0 CHECK (dispatched BETWEEN 0 AND quantity),
    picks json NOT NULL,
    PRIMARY KEY (actor_id, line)
);
CREATE INDEX process_order_lines_product ON process_order_lines (product, actor_id);
CREATE INDEX process_order_lines_warehouse ON process_order_lines (warehouse, actor_id);
