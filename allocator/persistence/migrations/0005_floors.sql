-- Where the history of an actor begins, once its oldest rows have been pruned; none: at seq 1.
--
-- The invariant, in every committed state: whoever starts from `state` and replays the rows above
-- `seq`, the first of which is chained to `digest`, has the actor's state. No row at or below a
-- floor is needed for that or for anything else: one that is still there is left from a prune that
-- was interrupted, and the next one removes it. A floor is raised only after the rows below it are
-- durable in the archive, and rows are only removed below a floor, oldest first, so what remains of
-- an actor's journal never has a gap.
--
-- Unlike a snapshot, a floor cannot be made again from the journal: it is never dropped, and it
-- travels with exports. So do the rows of orders and stocks at or below it.
CREATE TABLE floors (
    actor_id bigint PRIMARY KEY REFERENCES actors,
    seq bigint NOT NULL CHECK (seq > 0),
    digest bytea NOT NULL,
    schema_version smallint NOT NULL,
    state bytea NOT NULL,
    state_digest bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
