"""Benchmarks: what the allocator is measured against, and how."""
