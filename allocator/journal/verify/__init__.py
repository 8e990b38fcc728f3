"""`allocator journal verify`: whether everything that is stored agrees with the journal."""
