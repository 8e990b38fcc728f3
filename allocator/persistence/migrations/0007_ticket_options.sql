-- Ticket options, derived from the first event of each: what it is called, and how many tickets it
-- began with. What is left of them is the pool's balance, who has them its orders.
CREATE TABLE ticket_options (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL,
    allocation bigint NOT NULL CHECK (allocation >= 0),
    created_at timestamptz NOT NULL
);
