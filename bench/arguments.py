"""Values on a benchmark's command line, refused in one sentence when they make no sense."""

import argparse
from urllib.parse import SplitResult, urlsplit


def at_least_one(text: str) -> int:
    """Return a whole number above zero."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def http_address(text: str) -> SplitResult:
    """Return the parts of an http URL that names a host, and a port unless it is 80."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.scheme != "http" or not parts.hostname or port == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not like http://127.0.0.1:8080")
    return parts
