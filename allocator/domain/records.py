"""Rows of the journal, on their way in and on their way out.

The **digest** of a row is a hash over the digest of the row before it and its own content, so an
edited, missing or reordered row shows. The first row of an actor follows `GENESIS`.
"""

from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import msgspec

GENESIS = b""
DIGEST_BYTES = 16

SEQ_END = (1 << 63) - 1
"""Above every seq."""

KeyName: TypeAlias = tuple[str, str]
"""(principal, idempotency key)."""


class Record(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One stored row, as it was committed."""

    actor_id: int
    seq: int
    at_ms: int
    kind: str
    version: int
    body: str
    digest: bytes
    principal: str = ""
    idempotency_key: str | None = None
    request_digest: bytes | None = None


class StoredSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An actor's state as bytes, after event `seq`."""

    seq: int
    state: bytes


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the recovery of an actor starts.

    Attributes:
        kind: Of the actor; None if there is none yet.
        snapshot: The newest sound one, or what stands for the rows that were pruned; or None:
            replay from the first event.
        head: Digest of the row at `snapshot.seq`, or `GENESIS`.
        wake_at_ms: When the actor is to be woken, as stored.
    """

    kind: str | None
    snapshot: StoredSnapshot | None
    head: bytes
    wake_at_ms: int | None


class WakeUp(NamedTuple):
    """Who is to be woken, and since when; they are ordered like this."""

    at_ms: int
    actor_id: int


class Batch:
    """Rows of one append, column by column: what the database driver wants.

    All lists have one order, in which the rows of an actor ascend by seq, and one length; but
    `principals`, `idempotency_keys` and `request_digests` are empty while no row has any, which
    is the usual case and a third of the cost of sending them. Digests have 16 bytes.

    Attributes:
        births: Kinds of the actors that come into being with these rows, by actor id.
        wakes: When actors that changed their mind want to be woken, milliseconds of Unix
            time or None, by actor id; stored in the same append.
    """

    __slots__ = (
        "actor_ids",
        "ats_ms",
        "births",
        "bodies",
        "digests",
        "idempotency_keys",
        "kinds",
        "principals",
        "request_digests",
        "seqs",
        "versions",
        "wakes",
    )

    def __init__(self) -> None:
        self.actor_ids: list[int] = []
        self.seqs: list[int] = []
        self.ats_ms: list[int] = []
        self.kinds: list[str] = []
        self.versions: list[int] = []
        self.bodies: list[str] = []
        self.digests: list[bytes] = []
        self.principals: list[str] = []
        self.idempotency_keys: list[str | None] = []
        self.request_digests: list[bytes | None] = []
        self.births: dict[int, str] = {}
        self.wakes: dict[int, int | None] = {}

    def __len__(self) -> int:
        return len(self.actor_ids)

    def add(  # noqa: PLR0913 (one argument a column)
        self,
        *,
        actor_id: int,
        seq: int,
        at_ms: int,
        kind: str,
        version: int,
        body: str,
        digest: bytes,
        principal: str,
        idempotency_key: str | None,
        request_digest: bytes | None,
    ) -> None:
        """Append one row."""
        self.actor_ids.append(actor_id)
        self.seqs.append(seq)
        self.ats_ms.append(at_ms)
        self.kinds.append(kind)
        self.versions.append(version)
        self.bodies.append(body)
        self.digests.append(digest)
        if idempotency_key is not None or principal or self.principals:
            self._add_key(principal, idempotency_key, request_digest)

    def _add_key(
        self, principal: str, idempotency_key: str | None, request_digest: bytes | None
    ) -> None:
        missing = len(self.seqs) - 1 - len(self.principals)
        if missing:
            self.principals += [""] * missing
            self.idempotency_keys += [None] * missing
            self.request_digests += [None] * missing
        self.principals.append(principal)
        self.idempotency_keys.append(idempotency_key)
        self.request_digests.append(request_digest)


def chain(  # noqa: PLR0913 (everything that a row says)
    previous: bytes,
    *,
    actor_id: int,
    seq: int,
    at_ms: int,
    kind: str,
    version: int,
    body: str,
    principal: str,
    idempotency_key: str | None,
    request_digest: bytes | None,
) -> bytes:
    """Return the digest of a row: 16 bytes over `previous` and all that the row says.

    Only the body may hold a line feed, and it comes last, so no two rows read the same.
    """
    key = "" if idempotency_key is None else idempotency_key
    asked = "" if request_digest is None else request_digest.hex()
    said = f"\n{actor_id}\n{seq}\n{at_ms}\n{kind}\n{version}\n{principal}\n{key}\n{asked}\n{body}"
    return blake2b(previous + said.encode(), digest_size=DIGEST_BYTES).digest()
