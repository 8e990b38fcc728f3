-- Say when an actor is to be woken.
-- $1 actor id  $2 time
UPDATE actors SET wake_at = $2 WHERE id = $1
