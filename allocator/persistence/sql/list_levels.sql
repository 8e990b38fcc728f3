-- List what there is at some places, by product: of a location that holds one product at a time only
-- if anything is on hand, or the product may have left.
-- $1 codes of places  $2 how many at most of each  $3 product after which to begin; '' for all
SELECT level.*
FROM unnest($1::text[]) AS place (code)
CROSS JOIN LATERAL (
    SELECT actor_id, warehouse, coalesce(balances.product, pools.product) AS product, version,
           available, ordered, held, expired, aside
    FROM pools JOIN balances USING (actor_id)
    WHERE pools.warehouse = place.code
      AND (pools.product > $3
           OR pools.product IS NULL AND balances.product IS NOT NULL
              AND (available + ordered + held + expired > 0 OR aside <> '{}'))
    ORDER BY pools.product
    LIMIT $2
) AS level
ORDER BY level.warehouse, level.product
