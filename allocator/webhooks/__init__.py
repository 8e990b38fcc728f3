"""Delivery of webhooks: one process of all tells those who are elsewhere what happens."""
