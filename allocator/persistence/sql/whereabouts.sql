-- Say which database this is: the same for two sessions in one, different for two in two.
SELECT system_identifier, oid::bigint AS oid, pg_postmaster_start_time() AS since
FROM pg_control_system(), pg_database WHERE datname = current_database()
