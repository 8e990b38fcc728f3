-- Say whether an address is that of an order of several lines: by its row, or, if that was pruned, by
-- the read model, which keeps those.
-- $1 actor id  $2 seq  $3 kinds of rows that make such orders  $4 of those that do, being
-- the first of their actor
SELECT EXISTS (SELECT FROM journal
               WHERE actor_id = $1 AND seq = $2
                 AND (kind = ANY ($3::text[]) OR seq = 1 AND kind = ANY ($4::text[])))
    OR EXISTS (SELECT FROM process_orders WHERE actor_id = $1 AND seq = $2)
