-- What warehouse systems (WMS) tell by themselves, until pools have followed it.

-- The newest event of each batch. One that is worked off stays until a complete run is newer: what
-- comes late must not be taken for news. A batch without a code is called ''. `wishes`: a poll would
-- tell more, as units may have arrived that can be sold once all batches of the product are stated.
CREATE TABLE wms_events (
    feed bigint NOT NULL REFERENCES wms_feeds,
    actor_id bigint NOT NULL,
    code text NOT NULL,
    as_of bigint NOT NULL,
    applied_through bigint NOT NULL,
    orderable bigint NOT NULL,
    expires_at timestamptz NULL,
    received_at timestamptz NULL,
    wished_at timestamptz NULL,
    is_waiting boolean NOT NULL DEFAULT true,
    PRIMARY KEY (feed, actor_id, code)
);
CREATE INDEX wms_events_waiting ON wms_events (feed, as_of) WHERE is_waiting;
CREATE INDEX wms_events_wished ON wms_events (feed, wished_at) WHERE wished_at IS NOT NULL;

-- The parts of a pushed snapshot, until all have come and a run has been made of them.
CREATE TABLE wms_parts (
    feed bigint NOT NULL REFERENCES wms_feeds,
    as_of bigint NOT NULL,
    part integer NOT NULL,
    parts integer NOT NULL,
    applied_through bigint NOT NULL,
    items json NOT NULL,
    PRIMARY KEY (feed, as_of, part),
    CHECK (part BETWEEN 1 AND parts)
);

-- What was found different is listed from the journal itself, newest first: all of a feed, or of one
-- product.
CREATE INDEX journal_reconciliations ON journal (((body ->> 'feed')::bigint), at, actor_id, seq)
    WHERE kind = 'lot_reconciled';
CREATE INDEX journal_reconciliations_of_pool ON journal (actor_id, seq)
    WHERE kind = 'lot_reconciled';
