-- Journal a change of the catalogue, in the transaction that makes it. The row lock on the
-- thing is what makes its seq unique here; the primary key watches over it.
-- $1 actor id  $2 seq  $3 time  $4 era  $5 kind  $6 version  $7 body  $8 digest  $9 principal
INSERT INTO journal (actor_id, seq, at, era, kind, version, body, digest, principal)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
