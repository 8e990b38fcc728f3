-- Say how far the journal is settled now: a cut of this moment. Where no server has started since
-- the database moved here, all eras that it knows are former ones.
SELECT clock_timestamp() AS at,
       installation.era + (installation.system_identifier <> control.system_identifier)::int AS era,
       pg_snapshot_xmin(pg_current_snapshot())::text AS xid
FROM installation, pg_control_system() AS control
