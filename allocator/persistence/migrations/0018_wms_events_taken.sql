-- Since when a warehouse system (WMS) has been waiting for what it told to be followed.

-- When an event was taken; one that takes the place of another that waits has waited as long.
ALTER TABLE wms_events ADD COLUMN taken_at timestamptz NOT NULL DEFAULT now();
