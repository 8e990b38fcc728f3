-- Moments to which an installation can be restored: everything of former eras, and of `era` the
-- transactions below `xid`. What a transaction has seen is below it too, so no row lacks what it
-- stands on. A later cut contains an earlier one.
CREATE TABLE cuts (
    at timestamptz PRIMARY KEY,
    era int NOT NULL,
    xid xid8 NOT NULL
);

-- That this database is filled from an export or by a restore, and how far that has come; no row
-- where it never was. Each piece of it and this row change in one transaction. Until it has
-- finished, nothing here is an installation.
CREATE TABLE imports (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The first line of what is imported, which tells it from everything else.
    header text NOT NULL,
    -- The line that ended the last block stored.
    reached text NULL,
    -- Definitions of indexes that were dropped for the time being.
    indexes text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz NULL
);
