-- Begin a transaction that locks what others wait for: should our process freeze in it, PostgreSQL
-- ends it.
-- $1 milliseconds without a statement that count as frozen, as text
SELECT set_config('idle_in_transaction_session_timeout', $1, true)
