-- The stocks that were received before the history of their pools begins, as they are now: what
-- floors say of them is made good when they have arrived.
SELECT stocks.actor_id, stocks.seq, stocks.quantity, stocks.available, stocks.on_hand,
       stocks.received_at, stocks.expires_at, stocks.lot, stocks.reference, stocks.product,
       stocks.origin_actor_id, stocks.origin_seq, stocks.aside, stocks.recalled
FROM floors JOIN stocks ON stocks.actor_id = floors.actor_id AND stocks.seq <= floors.seq
