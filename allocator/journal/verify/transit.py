"""Units in transit: what left one place is on its way, or has arrived at the other, and no more.

Which process moves what is known from three journals, each of which is sound by itself. They are
compared as they were at one moment, so that what is under way meanwhile is no fault: what a process
says was done before it said so, and what it asks for may be done already.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from allocator.domain.transfers import Transfer
from allocator.journal.verify.faults import Faults, Subject
from allocator.persistence.windows import Row, Windows

_decode_lots: Final = msgspec.json.Decoder(tuple[Transfer, ...]).decode


async def audit_transit(windows: Windows) -> Faults:
    """Compare what processes say of the units that they lead with what the places say.

    Raises:
        JournalError: The database does not answer.
    """
    faults = Faults()
    async for rows in windows.transits():
        for row in rows:
            if why := _wrong(row):
                process = 0 if row["process"] is None else row["process"]
                Subject(process, f"move:{process}", faults).is_wrong("transit", why)
    return faults


def _wrong(row: Row) -> str:
    """Say what is wrong with the units of a process, or nothing."""
    if row["from_actor"] is None:
        return "units have left or arrived for it, and nobody requested it"
    if row["departures"] > 1:
        return f"units left {row['departures']} times for it"
    try:
        departed, sent = _lots(row["departed"]), _lots(row["sent"])
        arrived = _lots(row["arrived"])
    except msgspec.MsgspecError as error:
        return f"lots that moved cannot be read: {error}"
    return _wrong_place(row) or _wrong_units(row, departed, sent, arrived)


def _wrong_place(row: Row) -> str:
    if row["source"] not in {None, row["from_actor"]}:
        return f"units left actor {row['source']}, which is not its source"
    if row["destinations"] > 1 or row["destination"] not in {None, row["to_actor"]}:
        return f"units arrived at actor {row['destination']}, which is not its destination"
    return ""


def _wrong_units(
    row: Row,
    departed: Sequence[Transfer] | None,
    sent: Sequence[Transfer] | None,
    arrived: Sequence[Transfer] | None,
) -> str:
    if row["is_refused"] and (departed or sent or arrived):
        return f"it was refused, and {_units(departed or sent or arrived)} units moved"
    if sent is None:
        if arrived or row["is_done"]:
            return f"{_units(arrived)} units arrived that it did not know to have left"
        return ""  # its answer is on its way
    if departed != sent and not (departed is None and row["source_is_pruned"]):
        return f"{_units(sent)} units are on their way by it, and {_units(departed)} left"
    return _wrong_arrival(row, sent, arrived or ())


def _wrong_arrival(row: Row, sent: Sequence[Transfer], arrived: Sequence[Transfer]) -> str:
    """Lots arrive in their order, and some may be there before the others."""
    if row["destination_is_pruned"]:
        is_part = all(lot in sent for lot in arrived) and len(arrived) <= len(sent)
    elif row["is_done"]:
        is_part = tuple(arrived) == tuple(sent)
    else:
        is_part = tuple(arrived) == tuple(sent[: len(arrived)])
    return "" if is_part else f"{_units(sent)} units left, and {_units(arrived)} arrived"


def _lots(text: str | None) -> tuple[Transfer, ...] | None:
    return None if text is None else _decode_lots(text)


def _units(lots: Sequence[Transfer] | None) -> int:
    return sum(lot.quantity for lot in lots or ())
