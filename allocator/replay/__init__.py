"""Send a shop's order history through a running server and compare the balances."""
