"""What stops a benchmark."""


class BenchError(Exception):
    """There is nothing to report; the message says why, for whoever started the run."""
