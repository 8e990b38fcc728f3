-- Say whether a settled row behind a cut is of a later time than this.
-- $1 era and $2 xid of the cut  $3 time  $4 era and $5 xid up to which rows are settled
SELECT EXISTS (
    SELECT FROM journal
    WHERE (era, xid) >= ($1::int, $2::text::xid8) AND (era, xid) < ($4::int, $5::text::xid8)
      AND at > $3)
