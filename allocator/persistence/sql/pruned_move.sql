-- Read a move whose request has been pruned: its row of the read model, which is kept for that.
-- $1 actor id
SELECT * FROM moves WHERE actor_id = $1
