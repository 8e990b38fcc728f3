-- Units that are there and cannot be sold, by state, but for those past their date; and lots that owe
-- units to a state. What changes is added up by state; a state without units is not named.
CREATE FUNCTION states_after(there jsonb, changes jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(state, units) FILTER (WHERE units <> 0), '{}')
    FROM (
        SELECT state, sum(units)::bigint AS units
        FROM (
            SELECT key, value::bigint FROM jsonb_each_text(there)
            UNION ALL SELECT key, value::bigint FROM jsonb_each_text(changes)
        ) AS each (state, units)
        GROUP BY state
    ) AS summed
$$;
ALTER TABLE balances
    ADD COLUMN aside jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT balances_aside_check
        CHECK (NOT jsonb_path_exists(aside, '$.* ? (@ <= 0)')) NOT VALID;
ALTER TABLE stocks
    ADD COLUMN aside jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN recalled bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT stocks_aside_check
        CHECK (NOT jsonb_path_exists(aside, '$.* ? (@ <= 0)')) NOT VALID,
    ADD CONSTRAINT stocks_recalled_check CHECK (recalled >= 0) NOT VALID;
CREATE INDEX stocks_recalled ON stocks (actor_id) WHERE recalled > 0;

-- Orders that got units of other lots than they were placed with; one row an event.
CREATE TABLE repicks (
    actor_id bigint NOT NULL,
    seq bigint NOT NULL,
    order_seq bigint NOT NULL,
    returned json NOT NULL,
    added json NOT NULL,
    PRIMARY KEY (actor_id, seq)
);
CREATE INDEX repicks_order ON repicks (actor_id, order_seq);

-- The history of adjustments is listed from the journal itself. There are few of them.
CREATE INDEX journal_adjustments ON journal (actor_id, seq) WHERE kind = 'units_adjusted';
