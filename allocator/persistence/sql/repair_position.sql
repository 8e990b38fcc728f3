-- Say how far the read models have come, and keep them there until this transaction ends.
SELECT era, xid::text AS xid FROM projections WHERE name = 'read models' FOR UPDATE
