"""The REST API: decode, ask, encode."""
