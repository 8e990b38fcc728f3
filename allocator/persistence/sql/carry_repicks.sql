-- What orders got before the history of their pools begins.
SELECT repicks.actor_id, repicks.seq, repicks.order_seq, repicks.returned, repicks.added
FROM floors JOIN repicks ON repicks.actor_id = floors.actor_id AND repicks.seq <= floors.seq
