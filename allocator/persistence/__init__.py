"""PostgreSQL: journal, snapshots, catalogue, ownership, read models."""
