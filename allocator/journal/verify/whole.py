"""What has to be true of the installation as a whole."""

from allocator.domain.ids import SHARDS
from allocator.journal.verify.faults import Fault, Faults
from allocator.persistence.windows import Windows


async def audit_whole(windows: Windows) -> Faults:
    """Check what belongs to no actor.

    Raises:
        JournalError: The database does not answer.
        UsageError: There is no journal in it, or one of another release.
    """
    faults = Faults()
    row = await windows.whole()
    if row["shards"] != SHARDS:
        _note(faults, "shards", f"there are {row['shards']} shards", expected=SHARDS)
    if row["last_number"] < row["greatest_number"]:
        _note(
            faults,
            "actor_numbers",
            f"the next actor would get a number that one has: the last was {row['last_number']}",
            expected=row["greatest_number"],
        )
    if not row["positions"]:
        _note(faults, "projections", "nobody knows how far the read models have come")
    if row["ahead"]:
        _note(faults, "projections", "the read models have come past the journal")
    return faults


def _note(faults: Faults, table: str, message: str, *, expected: int | None = None) -> None:
    faults.add(
        Fault(
            kind="installation",
            actor="",
            actor_id=0,
            table=table,
            seq=None,
            message=message,
            expected=None if expected is None else str(expected),
        )
    )
