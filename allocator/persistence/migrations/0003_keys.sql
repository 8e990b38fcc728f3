-- API keys: who may ask. A key's name is the principal of what it asks for, so that no row is ever
-- deleted and no name used again. Of the secret only the digest is kept; `digest` is the end of
-- the chain of the key's own journal.
CREATE TABLE api_keys (
    name text COLLATE "C" PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('client', 'stock', 'operator')),
    secret_digest bytea NOT NULL UNIQUE,
    actor_id bigint NOT NULL UNIQUE REFERENCES actors,
    version bigint NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz NULL,
    last_used_at timestamptz NULL
);
