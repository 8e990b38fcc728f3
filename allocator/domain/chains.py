"""Whether an actor's rows are the ones that were written, all of them, in their order.

Each row carries a digest over the digest of the row before it and all that it says itself. So a row
that was edited does not bear out its own digest, and one that was removed or moved leaves a gap, or
a neighbour that does not follow. What a chain cannot see is that its last rows are missing: compare
its end with something else that knew them.
"""

from allocator.domain.records import Record, chain


class BrokenChainError(ValueError):
    """A row of an actor's journal is not the one that was written there, or one is missing.

    Attributes:
        actor_id: Whose journal it is.
        seq: Of the first row that is wrong: the one that should stand here.
        found: The row that stands here instead, if `seq` is missing.
        expected: The digest that follows from what stands here, None if `seq` is missing.
        stored: The digest that stands here, None if `seq` is missing.
    """

    def __init__(
        self,
        *,
        actor_id: int,
        seq: int,
        found: int | None = None,
        expected: bytes | None = None,
        stored: bytes | None = None,
    ) -> None:
        if found is not None:
            why = f"row {seq} was expected where row {found} stands"
        else:
            stored_hex, expected_hex = (stored or b"").hex(), (expected or b"").hex()
            why = (
                f"row {seq} is not as it was written after row {seq - 1}: "
                f"its digest is {stored_hex}, and what it says makes {expected_hex}"
            )
        super().__init__(f"actor {actor_id}: {why}")
        self.actor_id = actor_id
        self.seq = seq
        self.found = found
        self.expected = expected
        self.stored = stored


class Chain:
    """The journal of one actor, as far as it has been checked.

    Args:
        actor_id: Whose it is.
        seq: The row after which to begin: 0, or the floor of what has been pruned.
        digest: Of that row; `GENESIS` if `seq` is 0.

    Attributes:
        seq: Of the last row that was taken.
        digest: Its digest.
    """

    __slots__ = ("actor_id", "digest", "seq")

    def __init__(self, *, actor_id: int, seq: int, digest: bytes) -> None:
        self.actor_id = actor_id
        self.seq = seq
        self.digest = digest

    def check(self, record: Record) -> None:
        """Take the next row of this actor if it is the one that was written; else change nothing.

        Raises:
            BrokenChainError: It is not; `go_on_from` it to check those behind it.
        """
        assert record.actor_id == self.actor_id, "a row of another actor"
        if record.seq != self.seq + 1:
            raise BrokenChainError(actor_id=self.actor_id, seq=self.seq + 1, found=record.seq)
        expected = chain(
            self.digest,
            actor_id=record.actor_id,
            seq=record.seq,
            at_ms=record.at_ms,
            kind=record.kind,
            version=record.version,
            body=record.body,
            principal=record.principal,
            idempotency_key=record.idempotency_key,
            request_digest=record.request_digest,
        )
        if expected != record.digest:
            raise BrokenChainError(
                actor_id=self.actor_id, seq=record.seq, expected=expected, stored=record.digest
            )
        self.seq = record.seq
        self.digest = expected

    def go_on_from(self, record: Record) -> None:
        """Take a row as it stands, so that only what is wrong behind it is found next."""
        self.seq = record.seq
        self.digest = record.digest
