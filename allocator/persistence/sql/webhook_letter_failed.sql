-- Store that a dead letter was tried again, in vain.
-- $1 name  $2 position  $3 error
UPDATE webhook_dead_letters SET attempts = attempts + 1, error = $3, again = false
WHERE name = $1 AND position = $2
