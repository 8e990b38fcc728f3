"""A stock allocator that decides in memory and journals before it answers."""
