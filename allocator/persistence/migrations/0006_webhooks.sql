-- Webhooks: who else is told what happens, and where. Every change of one is a row of its own
-- journal; of a deleted one only the end of that is left, and url and secret are NULL. A secret is
-- kept as it is, for nothing else can sign; after a rotation the former one signs as well, for a
-- while.
CREATE TABLE webhooks (
    name text COLLATE "C" PRIMARY KEY,
    url text NULL,
    warehouse text NULL,
    product text NULL,
    kinds text[] NULL,
    secret bytea NULL,
    former_secret bytea NULL,
    former_until timestamptz NULL,
    actor_id bigint NOT NULL UNIQUE REFERENCES actors,
    version bigint NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK ((url IS NULL) = (secret IS NULL)),
    CHECK ((former_secret IS NULL) = (former_until IS NULL))
);

-- How far the delivery of each has come; of this database alone, it does not travel with exports.
-- Everything up to `position` was delivered or is a dead letter; `attempts` were made with what
-- comes next. Whoever delivers writes only where `life` is still the version that it delivers for.
CREATE TABLE webhook_deliveries (
    name text COLLATE "C" PRIMARY KEY REFERENCES webhooks,
    life bigint NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    position text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    retry_at timestamptz NULL,
    delivered bigint NOT NULL DEFAULT 0,
    delivered_at timestamptz NULL,
    failed bigint NOT NULL DEFAULT 0,
    last_error text NULL,
    last_error_at timestamptz NULL
);

-- What could not be delivered, as it would have been sent.
CREATE TABLE webhook_dead_letters (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL REFERENCES webhooks,
    position text NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    attempts int NOT NULL,
    error text NOT NULL,
    died_at timestamptz NOT NULL,
    again boolean NOT NULL DEFAULT false,
    UNIQUE (name, position)
);
