"""The open orders of a pool, packed.

A pool may keep a million open orders. As Python objects they would cost some 300 bytes each
and, worse, lengthen every full garbage collection. Here sixteen neighbouring sequence numbers
share one `bytearray` (which the collector does not track): 25 to 50 bytes an order.

An order that spans several lots is rare; its picks live in a dictionary beside the pages.
"""

import struct
from array import array
from collections.abc import Iterator

from allocator.domain.values import Picks

_SLOT = struct.Struct("<QQ")
_SHIFT = 4
_PAGE_SLOTS = 1 << _SHIFT
_MASK = _PAGE_SLOTS - 1
_PAGE_BYTES = _SLOT.size * _PAGE_SLOTS
_EMPTY_PAGE = bytes(_PAGE_BYTES)
_LED = 1 << 63
"""Beside the quantity of an order that a process leads; no quantity is as large."""
_UNITS = _LED - 1

SPANS_LOTS = 0
"""Stands in a slot's lot field for "see `spans`"; no lot has sequence number 0."""


class OpenOrders:
    """Open orders by sequence number: from which lots, and how many units of each."""

    __slots__ = ("_count", "_pages", "_spans")

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._spans: dict[int, Picks] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, Picks]]:
        """Yield (seq, picks) of each open order, ascending by seq."""
        for number in sorted(self._pages):
            page = self._pages[number]
            for slot in range(_PAGE_SLOTS):
                lot, quantity = _SLOT.unpack_from(page, slot * _SLOT.size)
                if quantity:
                    seq = (number << _SHIFT) | slot
                    yield (
                        seq,
                        self._spans[seq] if lot == SPANS_LOTS else ((lot, quantity & _UNITS),),
                    )

    def add(self, seq: int, picks: Picks, quantity: int, *, led: bool = False) -> None:
        """Open order `seq`, which must not be open, of `quantity` units in all.

        Args:
            seq: Its number.
            picks: Their lots.
            quantity: Their sum.
            led: Whether it is a process that decides what becomes of it.
        """
        number = seq >> _SHIFT
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = bytearray(_PAGE_BYTES)
        if len(picks) == 1:
            lot = picks[0][0]
        else:
            lot = SPANS_LOTS
            self._spans[seq] = picks
        slot = quantity | _LED if led else quantity
        _SLOT.pack_into(page, (seq & _MASK) * _SLOT.size, lot, slot)
        self._count += 1

    def get(self, seq: int) -> Picks | None:
        """Return what order `seq` holds, or None when it is not open."""
        page = self._pages.get(seq >> _SHIFT)
        if page is None:
            return None
        lot, quantity = _SLOT.unpack_from(page, (seq & _MASK) * _SLOT.size)
        if not quantity:
            return None
        return self._spans[seq] if lot == SPANS_LOTS else ((lot, quantity & _UNITS),)

    def of_lot(self, lot: int, *, limit: int) -> list[tuple[int, int]]:
        """Return (seq, units) of the first open orders with units of a lot, ascending by seq."""
        found = [
            (seq, units)
            for seq, picks in self._spans.items()
            for picked, units in picks
            if picked == lot
        ]
        for number in sorted(self._pages):
            slots = array("Q", self._pages[number])
            if lot not in slots[::2]:
                continue
            found += [
                ((number << _SHIFT) | place, slots[2 * place + 1] & _UNITS)
                for place in range(_PAGE_SLOTS)
                if slots[2 * place] == lot and slots[2 * place + 1]
            ]
            if len(found) >= limit + len(self._spans):
                break
        return sorted(found)[:limit]

    def is_led(self, seq: int) -> bool:
        """Say whether an order is open, and a process decides what becomes of it."""
        page = self._pages.get(seq >> _SHIFT)
        if page is None:
            return False
        _, quantity = _SLOT.unpack_from(page, (seq & _MASK) * _SLOT.size)
        return bool(quantity & _LED)

    def remove(self, seq: int) -> None:
        """Close order `seq`, which must be open."""
        page = self._pages[seq >> _SHIFT]
        _SLOT.pack_into(page, (seq & _MASK) * _SLOT.size, 0, 0)
        self._spans.pop(seq, None)
        self._count -= 1
        if page == _EMPTY_PAGE:
            del self._pages[seq >> _SHIFT]

    def dump(self) -> tuple[list[tuple[int, bytes]], dict[int, Picks]]:
        """Return the pages, ascending, and the orders that span lots, for a snapshot."""
        return [(n, bytes(self._pages[n])) for n in sorted(self._pages)], dict(self._spans)

    @classmethod
    def load(cls, pages: list[tuple[int, bytes]], spans: dict[int, Picks]) -> "OpenOrders":
        """Return what `dump` took."""
        orders = cls()
        orders._pages = {number: bytearray(page) for number, page in pages}
        orders._spans = dict(spans)
        orders._count = sum(_PAGE_SLOTS - array("Q", page)[1::2].count(0) for _, page in pages)
        return orders
