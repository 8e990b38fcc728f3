"""What can go wrong that is neither a refusal (a domain value) nor a bug (an assert)."""


class AllocatorError(Exception):
    """The root of every error of this package.

    Attributes:
        retryable: Whether the same request may succeed when it is repeated unchanged.
    """

    retryable: bool = False


class UsageError(AllocatorError):
    """The operator asked for something impossible; the message is one sentence that says what."""


class OutcomeUnknownError(AllocatorError):
    """A commit neither succeeded nor failed as far as anyone can tell.

    Repeat the request with the same Idempotency-Key: it then happens once, whatever happened.
    """

    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "the outcome is unknown: the journal did not confirm it in time; "
            "repeat the request with the same Idempotency-Key"
        )


class UnavailableError(AllocatorError):
    """Nothing was done, and the reason will pass: repeat the request later."""

    retryable = True

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"{reason}; nothing was done, repeat the request")
        self.reason = reason


class MovedError(UnavailableError):
    """The shard is another worker's, or on its way to one: ask there."""


class OverloadedError(UnavailableError):
    """As many messages wait for an answer as are allowed to."""

    def __init__(self, *, whose: str, limit: int) -> None:
        super().__init__(reason=f"{limit} messages of this {whose} already wait for an answer")
        self.whose = whose
        self.limit = limit


class JournalError(AllocatorError):
    """The journal did not do as it was asked, or did not say so.

    After a failed append the outcome is unknown, and the writer must be replaced.
    """

    retryable = True


class FencedError(JournalError):
    """Another process took this writer's place; its memory is no longer the truth."""

    def __init__(self, *, incarnation: str) -> None:
        super().__init__(f"incarnation {incarnation} has been fenced")
        self.incarnation = incarnation


class QuarantinedError(AllocatorError):
    """The journal of one actor cannot be replayed; it serves nothing until that is mended."""

    def __init__(self, *, actor_id: int, why: str) -> None:
        super().__init__(f"actor {actor_id} is quarantined: {why}")
        self.actor_id = actor_id
        self.why = why


class BrokenRuleError(AllocatorError):
    """A rule raised instead of deciding: a bug of ours. Nothing was journaled."""

    def __init__(self, *, actor_id: int) -> None:
        super().__init__(f"a rule failed on actor {actor_id}; nothing was done")
        self.actor_id = actor_id
        self.actor_id = actor_id
