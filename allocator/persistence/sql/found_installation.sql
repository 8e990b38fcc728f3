-- Make an imported database an installation, in an era of its own.
-- $1 the secret of ids  $2 the last era of the import
INSERT INTO installation (id_secret, system_identifier, era)
SELECT $1, system_identifier, $2::int + 1 FROM pg_control_system()
