-- Read the stocks of an actor of which something is on hand.
-- $1 actor id
SELECT seq, quantity, available, on_hand, aside, recalled FROM stocks WHERE actor_id = $1 AND on_hand > 0
