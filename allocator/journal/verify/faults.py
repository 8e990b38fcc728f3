"""What can be wrong, and the list of it: named one by one, and counted where that gets long."""

from collections import Counter
from typing import Final, Literal, TypeAlias, get_args

import msgspec

DETAILED_PER_ACTOR: Final = 20
"""Faults of one actor that are told one by one; the others are counted."""
DETAILED_PER_REPORT: Final = 1_000

Derived: TypeAlias = Literal[
    "snapshot",
    "order",
    "process_order",
    "cart",
    "stock",
    "balance",
    "ticket_option",
    "move",
    "quarantine",
    "wake_up",
]
"""What is wrong with something that the journal can make again."""

Kind: TypeAlias = (
    Literal[
        "edited_row",
        "missing_row",
        "missing_end",
        "time_goes_back",
        "unreadable_row",
        "unlawful_event",
        "unbalanced_pool",
        "transit",
        "hold",
        "unknown_actor",
        "wrong_actor",
        "floor",
        "contents",
        "kept_row",
        "installation",
        "server",
    ]
    | Derived
)

DERIVED: Final[frozenset[Kind]] = frozenset(get_args(Derived))
"""What `--repair` mends."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong.

    Attributes:
        kind: What is wrong, in a word.
        actor: The key of whose it is, as a person spells it: WAREHOUSE/PRODUCT for a pool, or
            LOCATION; "" if it is the whole installation's.
        actor_id: Its id; 0 for the whole installation.
        table: Where it is to be seen.
        seq: Of the row of the journal, order, stock or snapshot, if it is that of one.
        message: What is wrong, for people.
        expected: What should be there, if that is known.
        found: What is there.
        repaired: Whether it was mended, and is no more.
    """

    kind: Kind
    actor: str
    actor_id: int
    table: str
    seq: int | None
    message: str
    expected: str | None = None
    found: str | None = None
    repaired: bool = False


class Faults:
    """What is wrong in some part of the installation.

    Attributes:
        told: Faults one by one, as many as are told.
        counts: All of them, by kind.
        mended: Those of them that are no more, by kind.
    """

    def __init__(self) -> None:
        self.told: list[Fault] = []
        self.counts: Counter[Kind] = Counter()
        self.mended: Counter[Kind] = Counter()
        self._of_actors: dict[int, Counter[Kind]] = {}

    def add(self, fault: Fault) -> None:
        """Tell of one more, or count it only."""
        self.counts[fault.kind] += 1
        of_actor = self._of_actors.setdefault(fault.actor_id, Counter())
        of_actor[fault.kind] += 1
        if of_actor.total() <= DETAILED_PER_ACTOR and len(self.told) < DETAILED_PER_REPORT:
            self.told.append(fault)

    def mend(self, actor_id: int, kinds: frozenset[Kind]) -> None:
        """Note that an actor's faults of these kinds are no more."""
        for kind in kinds:
            self.mended[kind] += self._of_actors[actor_id][kind]
        self.told = [
            msgspec.structs.replace(fault, repaired=True)
            if fault.actor_id == actor_id and fault.kind in kinds
            else fault
            for fault in self.told
        ]


class Subject:
    """An actor about which there may be something to say.

    Attributes:
        actor_id: Its id.
        name: Its key, as a person spells it.
        sort: What comes before the colon of its key: "pool", "move", "order" and so on.
        is_damaged: Whether its journal itself is wrong; nothing is derived from such.
        wrong: What is wrong of what is derived from it, by kind, with the seqs of snapshots.
    """

    def __init__(self, actor_id: int, key: str, faults: Faults) -> None:
        self.actor_id = actor_id
        self.name = key.removeprefix("pool:").removesuffix("/") if "/" in key else key
        self.sort = key.partition(":")[0]
        self.is_damaged = False
        self.wrong: dict[Kind, list[int]] = {}
        self._faults = faults

    def is_wrong(  # noqa: PLR0913 (what a fault says)
        self,
        kind: Kind,
        message: str,
        *,
        table: str = "journal",
        seq: int | None = None,
        expected: object = None,
        found: object = None,
    ) -> None:
        """Note a fault."""
        if kind in DERIVED:
            seqs = self.wrong.setdefault(kind, [])
            if kind == "snapshot" and seq is not None:
                seqs.append(seq)
        elif table == "journal":
            self.is_damaged = True
        self._faults.add(
            Fault(
                kind=kind,
                actor=self.name,
                actor_id=self.actor_id,
                table=table,
                seq=seq,
                message=message,
                expected=None if expected is None else str(expected),
                found=None if found is None else str(found),
            )
        )
