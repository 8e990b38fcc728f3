-- The cuts that lie in a cut.
-- $1 era and $2 xid of the cut
SELECT at, era, xid FROM cuts WHERE (era, xid) <= ($1::int, $2::text::xid8)
