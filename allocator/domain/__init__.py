"""Rules of stock: pure functions over state, commands and events."""
