"""Feeds at work: what warehouse systems are told, and what comes of what they say."""
