"""What can go wrong that is neither a refusal (a domain value) nor a bug (an assert)."""


class AllocatorError(Exception):
    """The root of every error of this package.

    Attributes:
        retryable: Whether the same request may succeed when it is repeated unchanged.
    """

    retryable: bool = False


class UsageError(AllocatorError):
    """The operator asked for something impossible; the message is one sentence that says what."""
