-- Carts, attempts to pay for them, and thereby what was bought. What a cart became that was paid for
-- is in process_orders. All derived from the journals of carts.
CREATE TABLE carts (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    version bigint NOT NULL,
    customer text NULL,
    status text NOT NULL CHECK (status IN ('open', 'closed', 'expired', 'paid')),
    opened_at timestamptz NOT NULL,
    -- When it expires, unless it is paid for; what that is counted from never changes.
    expires_at timestamptz NOT NULL,
    ttl interval NOT NULL,
    cap interval NOT NULL
);
CREATE INDEX carts_customer ON carts (customer, actor_id) WHERE customer IS NOT NULL;

-- `attempt` is the seq of the event that began it, `changed` of the one that made it what it is.
CREATE TABLE checkouts (
    actor_id bigint NOT NULL,
    attempt bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('capturing', 'paid', 'failed', 'unknown', 'refund_due')),
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text NOT NULL,
    items json NOT NULL,
    begun_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    changed bigint NOT NULL,
    PRIMARY KEY (actor_id, attempt)
);
CREATE INDEX checkouts_paid ON checkouts (actor_id, attempt) WHERE status = 'paid';
CREATE INDEX checkouts_unsettled ON checkouts (status) WHERE status IN ('unknown', 'refund_due');
