-- Return what products cost, each that is known.
-- $1 skus
SELECT sku, price_amount, price_currency FROM products WHERE sku = ANY ($1::text[])
