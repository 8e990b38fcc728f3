-- Whose numbers a feed's pushes have. 'new': the warehouse system has not said yet which ones it knows,
-- and is told nothing before. 'ours': it knows those that we have given, and no others. 'lost': what it
-- knows was given elsewhere, or before this database was set back; such a feed is ended, and may be put
-- again then.
ALTER TABLE wms_feeds
    ADD COLUMN numbers text NOT NULL DEFAULT 'ours'
        CONSTRAINT wms_feeds_numbers_check CHECK (numbers IN ('new', 'ours', 'lost'));
