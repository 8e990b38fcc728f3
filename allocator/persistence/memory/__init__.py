"""The journal in memory: PostgreSQL's promises without PostgreSQL, and all the ways to break."""
